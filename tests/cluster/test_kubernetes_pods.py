"""The files for Kubernetes: what no schema knows of their pods, and who reaches these."""

import re
from typing import Any

import kubernetes_validate
import pytest

import hwr
from tests.deploy import manifests, ray_cluster

RAY = ("train", "label", "cluster")

# KubeRay puts these on every pod of a cluster, beside its name, group and kind.
MADE = {
    "ray.io/is-ray-node": "yes",
    "app.kubernetes.io/name": "kuberay",
    "app.kubernetes.io/created-by": "kuberay-operator",
}
HEAD = {**MADE, "ray.io/cluster": "hwr-train-x1", "ray.io/group": "headgroup", "ray.io/node-type": "head"}
WORKER = {**MADE, "ray.io/cluster": "hwr-train-x1", "ray.io/group": "gpu-spot", "ray.io/node-type": "worker"}

# Kubernetes labels every namespace with its name; the chart and the plain files of KubeRay both label the operator so.
NAME = "kubernetes.io/metadata.name"
OPERATOR = {"app.kubernetes.io/component": "kuberay-operator"}
PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}

GIGABYTES = {"Gi": 2**30, "Mi": 2**20}


def templates(name: str) -> dict[str, dict[str, Any]]:
    """The pods that a file asks for, by what they are: templates with metadata and spec."""
    (manifest,) = manifests(name)
    cluster = ray_cluster(manifest)
    found = {"head": cluster["headGroupSpec"]["template"]}
    found |= {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    if manifest["kind"] == "RayJob":
        found["submitter"] = manifest["spec"]["submitterPodTemplate"]
    return found


PODS = [(name, pod) for name in RAY for pod in templates(name)]


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Gi|Mi)", text).groups()  # type: ignore[union-attr]
    return int(number) * GIGABYTES[unit]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a selector means something with these labels; an empty one means everything."""
    assert set(selector) <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()


def admitted(source: dict[str, str], namespace: str, port: int) -> bool:
    """Whether the network policy lets a pod of a namespace reach a port of Ray's pods."""
    (policy,) = [manifest for manifest in manifests("namespace") if manifest["kind"] == "NetworkPolicy"]
    for rule in policy["spec"]["ingress"]:
        open_port = "ports" not in rule or port in [entry["port"] for entry in rule["ports"]]
        for peer in rule["from"]:
            spaces = peer.get("namespaceSelector")
            near = namespace == "hwr" if spaces is None else selects(spaces, {NAME: namespace})
            if open_port and near and selects(peer["podSelector"], source):
                return True
    return False


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_kubernetes_schema_takes_each_pod(name: str, pod: str) -> None:
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "spec": templates(name)[pod]["spec"]}
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_no_pod_is_root_or_could_become_it(name: str, pod: str) -> None:
    spec = templates(name)[pod]["spec"]
    user = spec["securityContext"]
    assert (user["runAsNonRoot"], user["runAsUser"], user["seccompProfile"]) == (True, 1000, {"type": "RuntimeDefault"})
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec)
    for container in spec["containers"]:
        assert_confined(container["securityContext"])


@pytest.mark.parametrize("name", RAY)
def test_rays_autoscaler_is_confined_like_the_pod_that_it_is_put_into(name: str) -> None:
    options = ray_cluster(manifests(name)[0])["autoscalerOptions"]
    assert_confined(options["securityContext"])
    assert options["resources"]["requests"] == options["resources"]["limits"]
    assert {mount["name"] for mount in options["volumeMounts"]} == {"tmp"}


def assert_confined(context: dict[str, Any]) -> None:
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_pods_that_could_become_root_are_not_even_started() -> None:
    (namespace,) = [manifest for manifest in manifests("namespace") if manifest["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    others = [manifest["metadata"]["namespace"] for manifest in manifests() if manifest["kind"] != "Namespace"]
    assert set(others) == {namespace["metadata"]["name"]} == {"hwr"}


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_what_may_be_written_is_mounted_and_every_volume_is_used(name: str, pod: str) -> None:
    spec = templates(name)[pod]["spec"]
    for container in spec["containers"]:
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) == {volume["name"] for volume in spec["volumes"]}
        assert mounts.keys() == ({"/tmp"} if pod == "submitter" else {"/tmp", "/dev/shm", "/data"})
        assert {"name": "HOME", "value": "/tmp"} in container["env"]


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_a_pod_gets_what_it_asks_for_and_no_more(name: str, pod: str) -> None:
    for container in templates(name)[pod]["spec"]["containers"]:
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert requests == limits
        assert {"cpu", "memory"} <= set(requests)
        assert ("nvidia.com/gpu" in requests) == ("gpu" in pod)


@pytest.mark.parametrize("name", RAY)
def test_the_object_store_fits_into_shared_memory_and_leaves_most_of_the_memory(name: str) -> None:
    cluster = ray_cluster(manifests(name)[0])
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        spec = group["template"]["spec"]
        (shared,) = [volume["emptyDir"] for volume in spec["volumes"] if volume["name"] == "shm"]
        assert shared["medium"] == "Memory"
        store = int(group["rayStartParams"]["object-store-memory"])
        memory = size(spec["containers"][0]["resources"]["limits"]["memory"])
        assert store <= size(shared["sizeLimit"]) <= memory / 2


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_every_pod_runs_the_image_of_this_release(name: str, pod: str) -> None:
    images = {container["image"] for container in templates(name)[pod]["spec"]["containers"]}
    assert images == {f"registry.example.com/hwr:{hwr.__version__}"}


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_a_pod_goes_to_its_own_machines_and_only_workers_to_such_as_may_be_taken_away(name: str, pod: str) -> None:
    spec = templates(name)[pod]["spec"]
    assert spec["nodeSelector"] == {"hwr-pool": "cpu" if pod in ("head", "submitter") else pod}
    tolerated = {toleration["key"] for toleration in spec["tolerations"]}
    assert "hwr-pool" in tolerated
    assert ("nvidia.com/gpu" in tolerated) == ("gpu" in pod)


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_only_the_head_may_speak_to_kubernetes(name: str, pod: str) -> None:
    assert templates(name)[pod]["spec"].get("automountServiceAccountToken", True) is (pod == "head")


def test_the_storage_that_pods_mount_is_one_that_many_machines_may_write() -> None:
    (claim,) = [manifest for manifest in manifests("namespace") if manifest["kind"] == "PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for name, pod in PODS:
        volumes = {volume["name"]: volume for volume in templates(name)[pod]["spec"]["volumes"]}
        if pod != "submitter":
            assert volumes["data"]["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}


def test_the_network_policy_holds_for_all_pods_of_ray() -> None:
    (policy,) = [manifest for manifest in manifests("namespace") if manifest["kind"] == "NetworkPolicy"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert selects(policy["spec"]["podSelector"], HEAD)
    assert selects(policy["spec"]["podSelector"], WORKER)


@pytest.mark.parametrize("port", [6379, 8265, 10001, 8080, 31234])
def test_rays_pods_reach_each_other_on_all_ports_and_strangers_on_none(port: int) -> None:
    assert admitted(HEAD, "hwr", port)
    assert admitted(WORKER, "hwr", port)
    assert not admitted(WORKER, "elsewhere", port)
    assert not admitted({}, "hwr", port)
    assert not admitted({"app.kubernetes.io/name": "kuberay"}, "kuberay-system", port)


@pytest.mark.parametrize("port", [6379, 8265, 10001, 8080, 31234])
def test_others_reach_the_one_port_that_they_need(port: int) -> None:
    for name in ("train", "label"):
        assert admitted(templates(name)["submitter"]["metadata"]["labels"], "hwr", port) == (port == 8265)
        assert not admitted(templates(name)["submitter"]["metadata"]["labels"], "elsewhere", port)
    assert admitted(OPERATOR, "kuberay-system", port) == (port == 8265)
    assert not admitted(OPERATOR, "elsewhere", port)
    assert admitted(PROMETHEUS, "monitoring", port) == (port == 8080)
    assert not admitted(PROMETHEUS, "elsewhere", port)


@pytest.mark.parametrize(("name", "pod"), [(name, pod) for name, pod in PODS if pod != "submitter"])
def test_the_ports_that_others_need_have_names(name: str, pod: str) -> None:
    (container,) = templates(name)[pod]["spec"]["containers"]
    ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
    head = {"gcs-server": 6379, "dashboard": 8265} if pod == "head" else {}
    assert ports == {**head, "metrics": 8080}
