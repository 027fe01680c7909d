"""A Ray cluster of one machine as people start it, with `ray start --head`, a dashboard and a token."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

# Ray's own provider of machines that are raylets here; by its other name it asks for a file that wheels lack.
_PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"

# What Ray's autoscaler for tests calls the head.
_HEAD = "f" * 51 + "00000"

TOKEN = "0123456789abcdef" * 4

_PORTS = (
    "--port", "--dashboard-port", "--dashboard-agent-listen-port", "--dashboard-agent-grpc-port",
    "--metrics-export-port", "--ray-client-server-port", "--node-manager-port", "--object-manager-port",
    "--runtime-env-agent-port",
)  # fmt: skip


class Head:
    """A head in processes of its own, on free ports and in a folder of its own; ended by their process ids."""

    def __init__(self, cpus: int = 4, kinds: dict[str, Any] | None = None, **environment: str) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="hwr-head-", dir="/tmp"))
        ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self.url = f"http://127.0.0.1:{ports['--dashboard-port']}"
        self.address = f"127.0.0.1:{ports['--port']}"
        self.metrics = f"http://127.0.0.1:{ports['--metrics-export-port']}/metrics"
        grows = self._autoscaler(kinds) if kinds else []
        home = self.top / "home"
        (home / ".ray").mkdir(parents=True)
        (home / ".ray" / "auth_token").write_text(TOKEN)
        beside = Path(sys.executable).parent
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PYTHONPATH"))},
            "HOME": str(home), "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}", "RAY_AUTH_MODE": "token",
            "RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "120", **environment,
        }  # fmt: skip
        command = [
            beside / "ray", "start", "--head", "--node-ip-address=127.0.0.1", f"--temp-dir={self.top / 'ray'}",
            f"--num-cpus={cpus}", f"--object-store-memory={200 * 2**20}", "--dashboard-host=127.0.0.1",
            *(f"{flag}={port}" for flag, port in ports.items()), *grows,
        ]  # fmt: skip
        done = subprocess.run(command, env=self.environment, cwd=self.top, capture_output=True, text=True, check=False)
        if done.returncode:
            self.close()  # of what it had begun
            raise AssertionError(done.stdout + done.stderr)
        self._wait()

    def _autoscaler(self, kinds: dict[str, Any]) -> list[str]:
        """Flags with which the head adds machines by itself, as raylets of this machine."""
        config = {
            "cluster_name": "grows", "max_workers": 8, "idle_timeout_minutes": 0.2, "auth": {}, "docker": {},
            "provider": {
                "type": "external", "module": _PROVIDER, "launch_multiple": True, "head_node_id": _HEAD,
                "gcs_address": self.address,
            },
            "available_node_types": {
                "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
                **{name: {"node_config": {}, "min_workers": 0, **kind} for name, kind in kinds.items()},
            },
            "head_node_type": "ray.head.default",
            **{f"{kind}_commands": [] for kind in ("initialization", "setup", "head_setup", "worker_setup")},
            "head_start_ray_commands": [], "worker_start_ray_commands": [], "file_mounts": {},
            "cluster_synced_files": [],
            "file_mounts_sync_continuously": False, "rsync_exclude": [], "rsync_filter": [], "upscaling_speed": 1.0,
        }  # fmt: skip
        (self.top / "autoscaler.json").write_text(json.dumps(config))
        return [f"--autoscaling-config={self.top / 'autoscaler.json'}"]

    def processes(self) -> list[psutil.Process]:
        """All that belongs to it: Ray's own processes, workers and jobs."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOME") == str(self.top / "home"):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def kill(self) -> None:
        """End it as a machine ends that loses its power."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def close(self) -> None:
        """End it, and take away its folder."""
        while self.processes():  # a process may start another while they are killed
            self.kill()
            time.sleep(0.1)
        shutil.rmtree(self.top, ignore_errors=True)

    def _wait(self) -> None:
        last = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/api/version", timeout=5):
                    return
            except urllib.error.HTTPError as error:
                error.close()
                return  # it answers, and asks for the token
            except OSError:
                assert time.monotonic() < last
                time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    """Ports that no one listens at, and that no system gives to a connection before Ray comes to listen there."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 12_000):
        with socket.socket() as one:
            if not one.connect_ex(("127.0.0.1", port)):
                continue
        found.append(port)
        if len(found) == count:
            break
    return found
