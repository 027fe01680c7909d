"""What a cluster's metrics endpoint says of the jobs is true, and the dashboard asks for nothing that is not there."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import ray
from prometheus_client.parser import text_string_to_metric_families
from ray.dashboard.modules.reporter.reporter_agent import METRICS_GAUGES

from pipelines._metrics import COUNTERS, GAUGES
from tests.head import Head
from tests.jobs import Command, write_scans
from tests.machines import wait_for

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "cluster/grafana/hwr.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
VARIABLES = {entry["name"]: entry for entry in BOARD["templating"]["list"]}

Series = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A cluster as `ray start` makes it."""
    one = Head(PYTHONPATH=str(ROOT))
    yield one
    one.close()


def run(head: Head, *words: object) -> None:
    """One command, as a user on the cluster's machine gives it."""
    status, out, err = Command(words, **head.environment, RAY_ADDRESS=head.address).end()
    assert status == 0, out + err


def scrape(head: Head) -> dict[Series, float]:
    """What Prometheus would read now."""
    with urllib.request.urlopen(head.metrics, timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


@pytest.fixture(scope="module")
def told(head, tmp_path_factory, digits) -> tuple[dict[Series, float], Path]:
    """What the endpoint says after each of three short jobs, and the folder of their results."""
    top = tmp_path_factory.mktemp("told")
    write_scans(top / "scans", digits[0][:300], digits[1][:300])
    write_scans(top / "new", digits[0][300:340], digits[1][300:340])
    for number in range(4):
        (top / f"scans/1/broken{number}.png").write_bytes(b"no picture")
    (top / "new/2/broken.png").write_bytes(b"no picture")
    wait_for(lambda: "ray_node_cpu_utilization" in {name for name, _ in scrape(head)})
    found = {}
    for words in (
        ["ingest", "--source", top / "scans", "--format", "image-folder", "--out", top / "samples"],
        ["train", "--data", top / "samples", "--out", top / "run", "--epochs", 2, "--batch-size", 32],
        # What Ray's core would refuse to take as a label's value.
        ["label", "--images", top / "new", "--model", top / "run", "--out", top / "größe"],
    ):
        run(head, *words)
        found |= scrape(head)
    return found, top


def values(told: dict[Series, float], command: str, run: str) -> dict[str, float]:
    """Our metrics of a run, without Ray's prefix."""
    wanted = {("command", command), ("run", run)}
    return {
        name.removeprefix("ray_"): value
        for (name, labels), value in told.items()
        if name.startswith("ray_hwr_") and wanted <= labels
    }


def test_ingest_tells_its_rows_and_rejects_though_it_ends_before_the_first_report(told):
    said = values(told[0], "ingest", "samples")
    assert said.pop("hwr_images_per_second") > 0
    assert said == {"hwr_rows_total": 304, "hwr_rejects_total": 4, "hwr_done_ratio": 1}


def test_label_tells_its_rows_and_rejects_under_a_name_that_is_not_ascii(told):
    said = values(told[0], "label", r"gr\xf6\xdfe")
    assert said.pop("hwr_images_per_second") > 0
    assert said == {"hwr_rows_total": 41, "hwr_rejects_total": 1, "hwr_done_ratio": 1}


def test_train_tells_what_its_history_says_of_the_last_epoch(told):
    last = json.loads((told[1] / "run/history.jsonl").read_text().splitlines()[-1])
    assert values(told[0], "train", "run") == {
        "hwr_epoch": 2,
        "hwr_done_ratio": 1,
        "hwr_images_per_second": last["images_per_second"],
        "hwr_train_loss_nats": last["train_loss"],
        "hwr_val_loss_nats": last["val_loss"],
        "hwr_val_accuracy_ratio": last["val_accuracy"],
    }


def test_no_label_of_ours_is_one_that_prometheus_gives_itself(told):
    ours = [labels for name, labels in told[0] if name.startswith("ray_hwr_")]
    assert ours
    for labels in ours:
        assert not {"job", "instance"} & {name for name, _ in labels}


@pytest.fixture(scope="module")
def known(told) -> dict[str, set[str]]:
    """Labels of every metric that is there, or that Ray has for machines unlike this one."""
    found: dict[str, set[str]] = {}
    for name, labels in told[0]:
        found.setdefault(name, set()).update(label for label, _ in labels)
    for name, gauge in METRICS_GAUGES.items():
        if name.startswith(("node_gpus_", "node_gram_")):
            found[f"ray_{name}"] = set(map(str, gauge.view.columns))
    # Ray's server tells of these once there is something to tell; it has no labels for them but those of all.
    server = Path(ray.__file__).with_name("core").joinpath("src/ray/gcs/gcs_server").read_bytes()
    for name in ("unintentional_worker_failures_total", "node_failure_total"):
        assert f"{name}\0".encode() in server
        found[f"ray_{name}"] = set()
    return found


def queries() -> list[str]:
    written = [target["expr"] for panel in PANELS for target in panel["targets"]]
    filled = [re.sub(r"\$__rate_interval", "1m", each) for each in written]
    return [re.sub(r"\$(\w+)", lambda match: VARIABLES[match[1]]["allValue"], each) for each in filled]


def selectors(query: str) -> list[tuple[str, set[str]]]:
    """Each metric of a query, with the labels that are asked of it, by itself or by a sum around it."""
    found: list[tuple[str, set[str]]] = []
    grouped: list[set[str]] = []

    def enter(node) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            grouped.append(set(node.modifier.labels) if node.modifier else set())
        elif isinstance(node, promql_parser.VectorSelector):
            asked = {matcher.name for matcher in node.matchers.matchers}
            found.append((node.name, asked.union(*grouped)))

    def leave(node) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            grouped.pop()

    promql_parser.walk(promql_parser.parse(query), enter, leave)
    return found


@pytest.mark.parametrize("query", queries())
def test_every_query_names_metrics_and_labels_that_ray_exports(query, known):
    found = selectors(query)
    assert found
    for name, labels in found:
        assert name in known
        assert labels <= known[name]


def test_the_dashboard_shows_every_metric_of_ours():
    asked = {name for query in queries() for name, _ in selectors(query)}
    assert {f"ray_{name}" for name in [*COUNTERS, *GAUGES]} <= asked


def test_its_variables_are_filled_from_labels_that_ray_exports(known):
    for name in ("command", "run"):
        assert VARIABLES[name]["definition"] == VARIABLES[name]["query"]["query"]
        selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", VARIABLES[name]["definition"]).groups()
        ((metric, labels),) = selectors(selector.replace("$command", ".*"))
        assert {label, *labels} <= known[metric]
        assert label == name
    assert VARIABLES["datasource"]["query"] == "prometheus"


def test_every_panel_says_what_it_shows_and_in_which_unit():
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


def test_no_panel_lies_over_another():
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    cells = [
        (column, line)
        for place in (panel["gridPos"] for panel in BOARD["panels"])
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert {column for column, _ in cells} == set(range(24))


def test_it_refreshes_itself_and_suits_grafana_10_and_later():
    assert BOARD["refresh"] == "10s"
    assert BOARD["schemaVersion"] == 39
