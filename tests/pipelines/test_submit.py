"""What submit finds out before anything is sent, and what it sends; tests/cluster/test_submit.py has the clusters."""

import asyncio
import fcntl
import http.server
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
from ray.job_submission import JobStatus

from hwr.errors import ResourceError
from pipelines import _follow, _jobs_api
from pipelines._follow import Follower
from pipelines._jobs_api import UnreachableError
from tests.jobs import hwr

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_cluster_of_this_terminal(monkeypatch):
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", NOWHERE)


@pytest.fixture
def web():
    """Any web server that is no Ray dashboard."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mute():
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def refused(capsys, *words):
    """The status, and the one line that there is."""
    status = hwr("submit", *words)
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    return status, err, out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--", "lable"], 2, "there is no such job: choose one of demo, fetch"),
        (["--", "submit", "--", "train"], 2, "submit runs here, not on a cluster: choose one of demo, fetch"),
        (["--", "train", "--data", "a"], 2, "--out"),
        (["--", "train", "--data", "a", "--out", "b", "--epoch", "3"], 2, "perhaps you meant --epochs"),
        (["--adress", "x", "--", "train"], 2, "perhaps you meant --address"),
        (["--", "demo", "--out", ""], 1, "a folder's name is empty"),
        ([], 1, "give a job and its flags after --"),
        (["--status", "a", "--", "demo"], 1, "or one of --status, --logs and --stop"),
        (["--status", "a", "--logs", "a"], 1, "or one of --status, --logs and --stop"),
        (["--logs", "../x"], 1, "../x is not the ID of a job"),
        (["--address", "127.0.0.1:8265", "--logs", "a"], 1, "write http://HOST:8265"),
        (["--address", "http://127.0.0.1:abc", "--logs", "a"], 1, "write http://HOST:8265"),
        (["--address", "http://127.0.0.1:99999", "--logs", "a"], 1, "write http://HOST:8265"),
        (["--logs", "a"], 1, f"no Ray cluster answers at {NOWHERE}: Connection refused"),
        (["--address", "http://no.such.host.invalid", "--logs", "a"], 1, "no Ray cluster answers at http://no.such"),
    ],
)
def test_each_mistake_is_one_line_before_anything_is_sent(capsys, words, status, message):
    found, err, out = refused(capsys, *words)
    assert (found, out) == (status, "")
    assert message in err


def test_a_port_that_answers_but_is_no_dashboard_is_told_from_one(capsys, web):
    status, err, _ = refused(capsys, "--address", web, "--status", "a")
    assert status == 1
    assert f"{web} answers, but is no Ray dashboard" in err


def test_a_port_that_never_answers_is_waited_for_only_so_long(capsys, mute, monkeypatch):
    monkeypatch.setattr(_jobs_api, "_CONNECT_S", 0.2)
    status, err, _ = refused(capsys, "--address", mute, "--status", "a")
    assert status == 1
    assert "timed out" in err


class Wire:
    """A cluster whose connection drops in the middle of the log, and in the middle of a line."""

    LOG = "one\ntwo\nthree \x1b[2J\nfour, unfinished"

    def __init__(self, cuts, failures=0):
        self.cuts, self.failures, self.asked = list(cuts), failures, []

    async def tail_job_logs(self, _):
        self.written = cut = self.cuts.pop(0)
        for at in range(0, cut, 3):
            yield self.LOG[at : min(at + 3, cut)]
        if self.cuts:
            raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")

    def get_job_info(self, name):
        if self.failures:
            self.failures -= 1
            raise UnreachableError("it does not answer")
        status = JobStatus.RUNNING if self.cuts else JobStatus.SUCCEEDED
        return SimpleNamespace(status=status, submission_id=name, message="")

    def get_job_logs(self, _):
        self.asked.append(self.written)
        return self.LOG[: self.written] if self.cuts else self.LOG

    def get_address(self):
        return "http://there"


@pytest.mark.parametrize("cuts", [[0], [5, 5, 9, 0], [len(Wire.LOG)], [6, len(Wire.LOG)]])
def test_a_log_is_shown_line_by_line_once_however_often_the_connection_drops(cuts):
    shown: list[str] = []
    info = Follower(Wire(cuts), "a").follow(shown.append)
    assert shown == Wire.LOG.split("\n")
    assert info.status == JobStatus.SUCCEEDED


class Proxy(Wire):
    """A way to the cluster that lets no WebSocket through."""

    async def tail_job_logs(self, _):
        self.written = self.cuts.pop(0)
        raise RuntimeError("Invalid response status")
        yield


def test_a_log_comes_as_it_is_written_also_through_a_proxy_without_web_sockets():
    proxy = Proxy([5, 9, 0])
    shown: list[tuple[str, int]] = []
    Follower(proxy, "a").follow(lambda line: shown.append((line, len(proxy.asked))))
    assert shown == [(line, asked) for line, asked in zip(Wire.LOG.split("\n"), [1, 2, 3, 3], strict=True)]


class Silent(Wire):
    """A job that writes nothing."""

    async def tail_job_logs(self, _):
        await asyncio.sleep(60)
        yield


def test_a_stop_from_outside_ends_like_an_interruption():
    before = signal.getsignal(signal.SIGTERM)
    after_a_while = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGTERM])
    after_a_while.start()
    with pytest.raises(KeyboardInterrupt):
        Follower(Silent([9]), "a").follow(print)
    after_a_while.join()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_cluster_that_is_back_soon_is_followed_on(capsys):
    shown: list[str] = []
    Follower(Wire([5, 9, 9], failures=2), "a").follow(shown.append)
    assert shown == Wire.LOG.split("\n")
    assert capsys.readouterr().out == "it does not answer; trying again for 30 s\n"


def test_a_cluster_that_stays_away_is_given_up_with_a_way_back(monkeypatch):
    monkeypatch.setattr(_follow, "RETRY_S", 0.5)
    with pytest.raises(UnreachableError, match="once that answers, hwr submit --address http://there --logs a tells"):
        Follower(Wire([5, 9], failures=99), "a").follow(print)


def test_a_job_that_does_not_begin_says_why_now_and_then(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    patience = _jobs_api.Patience()
    waiting = SimpleNamespace(status=JobStatus.PENDING, submission_id="a", message="no machine\nhas room")
    for _ in range(60):
        patience.say(waiting)
        now += 1
    assert capsys.readouterr().out == "a has not begun: no machine has room\n" * 2


def test_tokens_are_looked_for_where_ray_does(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("usual\n")
    (tmp_path / "other").write_text("other")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _jobs_api._token("x") == ("usual", "~/.ray/auth_token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "other"))
    assert _jobs_api._token("x") == ("other", str(tmp_path / "other"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "direct")
    assert _jobs_api._token("x") == ("direct", "RAY_AUTH_TOKEN")


@pytest.mark.parametrize("token", ["two\nlines", "ümläut", "a b"])
def test_what_cannot_be_a_token_is_told_from_a_wrong_address(monkeypatch, token):
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    with pytest.raises(ResourceError, match="what stands in RAY_AUTH_TOKEN is no token"):
        _jobs_api._token("x")


def test_a_server_that_hangs_up_is_told_without_the_objects_of_libraries():
    def hang_up():
        with server.accept()[0] as connection:
            connection.recv(1 << 16)

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        hangs_up = threading.Thread(target=hang_up)
        hangs_up.start()
        with pytest.raises(UnreachableError) as raised:
            _jobs_api.Jobs(address, {"Authorization": ""}).get_job_info("a")
        hangs_up.join()
    assert str(raised.value) == f"{address} does not answer: Remote end closed connection without response"


def test_an_interruption_on_a_terminal_asks_and_another_one_detaches():
    def take_terminal():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # Tests that run in the background of a script ignore Ctrl-C, and what they start would too.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    program = "from pipelines import submit; print('ready'); print([submit._is_to_stop() for _ in range(4)])"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - no threads in it
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    for typed in (b"what\n", b"s\n", b"d\n", b"\x03", b"\x04"):
        asked = shown.count(b"[d/s]")
        while shown.count(b"[d/s]") == asked:
            shown += os.read(ours, 4096)
        # It says so before it reads, and what interrupts it in between is only heard with the next key.
        while psutil.Process(process.pid).status() != psutil.STATUS_SLEEPING:
            time.sleep(0.01)
        os.write(ours, typed)
    while b"]\r\n" not in shown.rpartition(b"[d/s]")[2]:
        shown += os.read(ours, 4096)
    assert process.wait() == 0
    os.close(ours)
    assert b"detach or stop? [d/s]" in shown
    assert b"[True, False, False, False]" in shown
