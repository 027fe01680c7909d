"""The files for Kubernetes: what the schemas of Kubernetes and KubeRay take and refuse, and what Ray makes of them."""

import importlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import tyro
from jsonschema.protocols import Validator
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from tests.deploy import CLUSTER, changed, closed, every, manifests, misspelt, ray_cluster, release

RAY = {"train": "RayJob", "label": "RayJob", "cluster": "RayCluster"}
HEAD = ("spec", "rayClusterSpec", "headGroupSpec", "template", "spec")
WORKERS = ("spec", "rayClusterSpec", "workerGroupSpecs", 0)


@pytest.fixture(scope="module")
def schemas(data: Path) -> dict[str, Validator]:
    """KubeRay's schemas of version v1, closed: a key that they do not name is a mistake."""
    folder = data.parent / "kuberay"
    texts = {kind: (folder / f"{kind.lower()}.v1.schema.json").read_text() for kind in set(RAY.values())}
    return {kind: jsonschema.Draft202012Validator(closed(json.loads(text))) for kind, text in texts.items()}


def one(name: str) -> dict[str, Any]:
    (found,) = manifests(name)
    return found


def words(name: str) -> list[str]:
    """The words of a job's entrypoint."""
    return shlex.split(one(name)["spec"]["entrypoint"])


def grown(name: str) -> dict[str, Any]:
    """What Ray's autoscaler, which checks it too, reads out of a cluster: its kinds of machines."""
    cluster = {"metadata": {"name": name, "namespace": "hwr"}, "spec": ray_cluster(one(name))}
    kinds: dict[str, Any] = _derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]
    return kinds


def parsed(entrypoint: list[str]) -> Any:
    """The settings that a job would run with."""
    assert entrypoint[:3] == ["python", "-m", "pipelines"]
    module = importlib.import_module(f"pipelines.{entrypoint[3]}")
    return tyro.cli(module.Config, args=entrypoint[4:])


def test_there_are_no_other_files() -> None:
    assert {path.stem for path in (CLUSTER / "kubernetes").iterdir()} == {*RAY, "namespace"}
    assert {name: one(name)["kind"] for name in RAY} == RAY


@pytest.mark.parametrize("name", RAY)
def test_kuberays_schema_takes_the_file(name: str, schemas: dict[str, Validator]) -> None:
    manifest = one(name)
    assert manifest["apiVersion"] == "ray.io/v1"
    assert set(manifest["metadata"]) == {"name", "namespace"}  # whose keys that schema leaves open
    schemas[RAY[name]].validate(manifest)


@pytest.mark.parametrize(
    "path",
    [
        ("spec", "backoffLimit"),
        ("spec", "submitterConfig", "backoffLimit"),
        ("spec", "submitterPodTemplate", "spec", "containers", 0, "securityContext", "readOnlyRootFilesystem"),
        ("spec", "submitterPodTemplate", "spec", "volumes", 0, "emptyDir", "sizeLimit"),
        ("spec", "rayClusterSpec", "authOptions", "secretName"),
        ("spec", "rayClusterSpec", "autoscalerOptions", "version"),
        (*HEAD, "securityContext", "runAsNonRoot"),
        (*HEAD, "containers", 0, "ports", 0, "containerPort"),
        (*HEAD, "volumes", 2, "persistentVolumeClaim", "claimName"),
        (*WORKERS, "maxReplicas"),
        (*WORKERS, "template", "spec", "tolerations", 0, "operator"),
    ],
)
def test_a_misspelt_key_of_a_job_is_refused(path: tuple[str | int, ...], schemas: dict[str, Validator]) -> None:
    with pytest.raises(jsonschema.ValidationError, match=f"{path[-1]}x|{path[-1]}. is a required"):
        schemas["RayJob"].validate(changed(one("train"), path, misspelt))


@pytest.mark.parametrize(
    "path", [("spec", "autoscalerOptions", "version"), (*WORKERS[:1], *WORKERS[2:], "minReplicas")]
)
def test_a_wrong_value_is_refused(path: tuple[str | int, ...], schemas: dict[str, Validator]) -> None:
    wrong = changed(one("cluster"), path, lambda place, key: place.update({key: "most"}))
    with pytest.raises(jsonschema.ValidationError, match="'most'"):
        schemas["RayCluster"].validate(wrong)


def test_kubernetes_schema_takes_the_other_objects() -> None:
    kinds = {manifest["kind"] for manifest in manifests("namespace")}
    assert kinds == {"Namespace", "PersistentVolumeClaim", "NetworkPolicy"}
    for manifest in manifests("namespace"):
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize(
    ("number", "path"),
    [
        (0, ("metadata", "labels")),
        (1, ("spec", "accessModes")),
        (1, ("spec", "resources", "requests")),
        (2, ("spec", "podSelector", "matchLabels")),
        (2, ("spec", "ingress", 1, "from", 0, "namespaceSelector")),
        (2, ("spec", "ingress", 1, "ports", 0, "port")),
    ],
)
def test_a_misspelt_key_of_another_object_is_refused(number: int, path: tuple[str | int, ...]) -> None:
    wrong = changed(manifests("namespace")[number], path, misspelt)
    with pytest.raises(kubernetes_validate.ValidationError, match=f"{path[-1]}x"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", ["train", "label"])
def test_a_job_is_a_command_that_exists_on_shared_storage(name: str) -> None:
    settings = parsed(words(name))
    assert words(name)[3] == name
    folders = [settings.out, *(settings.data[0] if name == "train" else (settings.images, *settings.model))]
    assert all(folder.startswith("/data/") for folder in folders)


@pytest.mark.parametrize("name", ["train", "label"])
def test_a_flag_that_the_job_does_not_have_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed([f"{word}x" if word == "--workers" else word for word in words(name)])
    assert "--workersx" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["train", "label"])
def test_the_same_command_is_given_again_and_the_machines_go_in_the_end(name: str) -> None:
    spec = one(name)["spec"]
    assert spec["backoffLimit"] >= 1
    assert spec["submitterConfig"]["backoffLimit"] >= 1
    assert spec["shutdownAfterJobFinishes"] is True
    assert 0 < spec["ttlSecondsAfterFinished"] < spec["activeDeadlineSeconds"]


@pytest.mark.parametrize("name", RAY)
def test_machines_come_from_zero_and_the_head_does_no_work(name: str) -> None:
    assert ray_cluster(one(name))["enableInTreeAutoscaling"] is True
    assert ray_cluster(one(name))["autoscalerOptions"]["version"] == "v2"
    kinds = grown(name)
    assert kinds.pop("headgroup")["resources"]["CPU"] == 0
    for kind in kinds.values():
        assert kind["min_workers"] == 0 < kind["max_workers"]
        assert kind["resources"]["CPU"] > 0
    assert all(bool(kind["resources"].get("GPU")) == ("gpu" in group) for group, kind in kinds.items())


@pytest.mark.parametrize("name", RAY)
def test_spot_machines_come_first_and_each_kind_has_others_behind_it(name: str) -> None:
    kinds = grown(name)
    spot = {group for group in kinds if group.endswith("-spot")}
    assert spot
    for group in spot:
        other = kinds[group.removesuffix("-spot")]
        assert kinds[group]["resources"] == other["resources"]
        assert kinds[group]["priority"] > other.get("priority", 0)


def test_the_training_fills_its_gpus_and_lives_on_those_that_stay() -> None:
    settings, kinds = parsed(words("train")), grown("train")
    assert settings.workers == kinds["gpu-spot"]["max_workers"] + kinds["gpu"]["max_workers"]
    assert settings.min_workers == kinds["gpu"]["max_workers"]


def test_the_labelling_fits_on_spot_machines_and_as_well_on_the_others() -> None:
    settings, kinds = parsed(words("label")), grown("label")
    for group in ("cpu-spot", "cpu"):
        assert settings.workers <= kinds[group]["max_workers"] * kinds[group]["resources"]["CPU"]


def test_ray_waits_as_long_for_a_machine_as_the_files_say_before_it_takes_another_kind() -> None:
    (env,) = {
        json.dumps({entry["name"]: entry["value"] for entry in ray_cluster(one(name))["autoscalerOptions"]["env"]})
        for name in RAY
    }
    code = (
        "from ray.autoscaler.v2.instance_manager.config import InstanceReconcileConfig as C\n"
        "print(C().allocate_status_timeout_s)"
    )
    for given, seconds in ({}, "3600"), (json.loads(env), "900"):
        command = [sys.executable, "-c", code]
        said = subprocess.run(
            command, env={**os.environ, **given}, check=True, capture_output=True, text=True, timeout=60
        )
        assert said.stdout.strip() == seconds


def test_ray_is_of_the_release_that_was_tested() -> None:
    assert [ray_cluster(one(name))["rayVersion"] for name in RAY] == [release("ray")] * len(RAY)


def test_the_token_comes_from_one_secret_that_no_file_has() -> None:
    options = [ray_cluster(one(name))["authOptions"] for name in RAY]
    assert options == [{"mode": "token", "secretName": "hwr-ray-token"}] * len(RAY)
    assert "Secret" not in {manifest["kind"] for manifest in manifests()}
    assert not every(manifests(), "stringData")


def test_strict_readers_take_the_files_too() -> None:
    """Some refuse a key that stands beside a merged one of the same name; aliases alone are safe everywhere."""
    assert not [path.name for path in (CLUSTER / "kubernetes").iterdir() if "<<:" in path.read_text()]
