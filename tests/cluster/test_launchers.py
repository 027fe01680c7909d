"""The files for `ray up`: what Ray's own validator takes and refuses, and what it cannot know."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from botocore.session import get_session
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start

from tests.deploy import CLUSTER, ROOT, changed, closed, every, installs, misspelt, sources

NAMES = ("aws", "gcp", "ssh")
CLOUDS = ("aws", "gcp")

# Ray's own schema lets any setting of a provider pass, and so a misspelt one; this one takes those alone that it lists.
SCHEMA = jsonschema.Draft7Validator(
    closed(json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text()))
)

# The fields of a machine that Google's API has and that are used here.
GOOGLE = {"machineType", "disks", "networkInterfaces", "serviceAccounts", "scheduling"}


def given(name: str) -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / "launcher" / f"{name}.yaml").read_text())


def checked(config: dict[str, Any]) -> dict[str, Any]:
    """What Ray makes of a file: its defaults filled in, or an error."""
    prepared = prepare_config(config)
    validate_config(prepared)
    SCHEMA.validate(prepared)
    return prepared


def workers(config: dict[str, Any]) -> dict[str, Any]:
    return {name: kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]}


def ray_starts(config: dict[str, Any]) -> list[tuple[list[str], dict[str, Any]]]:
    """The settings before each `ray start`, and its flags as Ray itself reads them: the head's, then the workers'."""
    found = []
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        before, _, flags = commands[-1].partition("ray start ")
        context = start.make_context("ray start", shlex.split(flags.replace("$RAY_HEAD_IP", "10.0.0.1")))
        found.append((before.split(), context.params))
    return found


def test_there_are_no_other_files() -> None:
    assert sorted(path.stem for path in (CLUSTER / "launcher").iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_rays_validator_takes_the_file(name: str) -> None:
    checked(given(name))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, (key,)) for name in NAMES for key in ("file_mounts", "setup_commands", "worker_start_ray_commands")),
        *((name, ("auth", "ssh_user")) for name in NAMES),
        *((name, ("auth", "ssh_proxy_use_node_id")) for name in CLOUDS),
        *((name, ("provider", "use_internal_ips")) for name in CLOUDS),
        *((name, ("available_node_types", "gpu_spot", key)) for name in CLOUDS for key in ("priority", "resources")),
    ],
)
def test_a_misspelt_key_is_refused(name: str, path: tuple[str, ...]) -> None:
    with pytest.raises(jsonschema.ValidationError, match=f"{path[-1]}"):
        checked(changed(given(name), path, misspelt))


@pytest.mark.parametrize("key", ["InstanceType", "SecurityGroupIds", "InstanceMarketOptions", "MetadataOptions"])
def test_machines_are_described_as_amazons_interface_has_it(key: str) -> None:
    shape = get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    for kind in given("aws")["available_node_types"].values():
        machine = kind["node_config"]
        # SubnetIds is Ray's own; the numbers are what Ray adds.
        asked = {**{name: machine[name] for name in machine if name != "SubnetIds"}, "MinCount": 1, "MaxCount": 1}
        assert not ParamValidator().validate(asked, shape).has_errors()
        if key in machine:
            misspelt(asked, key)
            assert f"{key}x" in ParamValidator().validate(asked, shape).generate_report()


def test_machines_at_google_have_no_fields_that_are_not_known() -> None:
    assert {key for kind in given("gcp")["available_node_types"].values() for key in kind["node_config"]} == GOOGLE


@pytest.mark.parametrize("name", CLOUDS)
def test_machines_come_from_zero_and_each_kind_has_its_limit(name: str) -> None:
    config = given(name)
    for kind in workers(config).values():
        assert kind["min_workers"] == 0 < kind["max_workers"]
    assert config["max_workers"] == sum(kind["max_workers"] for kind in workers(config).values())
    head = config["available_node_types"][config["head_node_type"]]
    assert (head["min_workers"], head["max_workers"], head["resources"]) == (0, 0, {"CPU": 0})
    assert {bool(kind["resources"].get("GPU")) for kind in workers(config).values()} == {True, False}


def test_machines_that_are_there_anyway_all_join() -> None:
    (kind,) = checked(given("ssh"))["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(given("ssh")["provider"]["worker_ips"])


@pytest.mark.parametrize("name", CLOUDS)
def test_spot_machines_are_spot_and_come_first_and_no_others_are(name: str) -> None:
    for kind, settings in given(name)["available_node_types"].items():
        machine = settings["node_config"]
        market = machine.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        assert (market or machine.get("scheduling", {}).get("provisioningModel") == "SPOT") == kind.endswith("_spot")
        assert ("priority" in settings) == kind.endswith("_spot")


@pytest.mark.parametrize("name", CLOUDS)
def test_the_training_that_the_file_speaks_of_fills_its_gpus_and_lives_on_those_that_stay(name: str) -> None:
    text = (CLUSTER / "launcher" / f"{name}.yaml").read_text()
    ((wanted, least),) = re.findall(r"--workers (\d+) --min-workers (\d+)", text)
    kinds = workers(given(name))
    assert int(wanted) == kinds["gpu_spot"]["max_workers"] + kinds["gpu"]["max_workers"]
    assert int(least) == kinds["gpu"]["max_workers"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_listens_for_everyone(name: str) -> None:
    config = checked(given(name))
    (_, head), (_, _) = ray_starts(config)
    assert head["dashboard_host"] == "127.0.0.1"
    assert "0.0.0.0" not in json.dumps(config)


@pytest.mark.parametrize("name", CLOUDS)
def test_rays_own_commands_would_listen_for_everyone(name: str) -> None:
    config = given(name)
    del config["head_start_ray_commands"]
    assert "0.0.0.0" in json.dumps(checked(config))


@pytest.mark.parametrize("name", NAMES)
def test_every_machine_asks_for_the_token_and_has_it(name: str) -> None:
    config = given(name)
    assert all("RAY_AUTH_MODE=token" in before for before, _ in ray_starts(config))
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]


@pytest.mark.parametrize("name", CLOUDS)
def test_the_head_of_a_growing_cluster_does_no_work_and_starts_the_others(name: str) -> None:
    (_, head), (_, worker) = ray_starts(given(name))
    assert (head["head"], head["num_cpus"], head["autoscaling_config"]) == (True, 0, "~/ray_bootstrap_config.yaml")
    assert worker["address"] == "10.0.0.1:6379"


@pytest.mark.parametrize("name", CLOUDS)
def test_no_machine_has_a_public_address(name: str) -> None:
    config = given(name)
    assert config["provider"]["use_internal_ips"] is True
    assert not every(config, "accessConfigs")
    for kind in config["available_node_types"].values():
        machine = kind["node_config"]
        assert machine.get("networkInterfaces") or (machine["SubnetIds"] and machine["SecurityGroupIds"])


def test_machines_get_their_rights_by_role_and_no_file_has_a_key() -> None:
    amazon = {name: kind["node_config"] for name, kind in given("aws")["available_node_types"].items()}
    roles = {name: machine["IamInstanceProfile"]["Name"] for name, machine in amazon.items()}
    assert roles == {name: "hwr-head" if name == "head" else "hwr-worker" for name in amazon}
    assert all(kind["node_config"]["serviceAccounts"] for kind in workers(given("gcp")).values())
    for name in NAMES:
        text = (CLUSTER / "launcher" / f"{name}.yaml").read_text()
        assert not re.search(r"AKIA|BEGIN|secret|[0-9a-f]{32}", text, re.IGNORECASE)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_sent_to_a_machine_is_the_whole_project_and_no_data(name: str, tmp_path: Path) -> None:
    mounts = {remote: local for remote, local in given(name)["file_mounts"].items() if local != "~/.ray/auth_token"}
    assert set(mounts.values()) == {"hwr", "pipelines", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    for remote, local in mounts.items():
        copy = shutil.copytree if (ROOT / local).is_dir() else shutil.copy
        copy(ROOT / local, tmp_path / Path(remote).relative_to("~/hwr"))
    if name == NAMES[0]:  # the others send the same
        assert {path for path in installs(tmp_path) if "__pycache__" not in path} == sources()


@pytest.mark.parametrize("name", NAMES)
def test_the_project_is_installed_at_the_releases_that_were_tested(name: str) -> None:
    config = given(name)
    commands = [*config["setup_commands"], *config.get("head_setup_commands", [])]
    installing = [command for command in commands if "pip install" in command]
    assert installing
    assert all("--constraint" in command for command in installing)
