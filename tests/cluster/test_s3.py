"""On an object store the jobs do what they do on a disk: the same predictions, exact after a kill, nothing twice."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray.cluster_utils import Cluster

from hwr.errors import StorageError
from hwr.sources.files import read_files
from hwr.storage import Folder
from tests import s3
from tests.jobs import Command, hwr

pytestmark = pytest.mark.cluster

# Few epochs: the digits are read well enough after them, and all that is written is the same.
DEMO = (
    "import sys; from pipelines import cli, demo; demo.EPOCHS = '3'; sys.exit(cli.main(['demo', '--out', sys.argv[1]]))"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An object store, and a cluster whose processes know where it is."""
    with s3.serve(tmp_path_factory.mktemp("s3") / "requests.log") as store:
        machines = Cluster()
        try:
            machines.add_node(num_cpus=4, include_dashboard=False, object_store_memory=200 * 2**20)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("RAY_ADDRESS", machines.address)
                yield store
        finally:
            machines.shutdown()


def run_demo(out):
    done = subprocess.run([sys.executable, "-c", DEMO, out], capture_output=True, text=True, timeout=500, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def demo(store):  # noqa: ARG001 - what it writes to
    return run_demo("s3://scans/demo")


def predictions(location):
    """All rows, in the order of the files."""
    folder = Folder.open(location) / "predictions"
    return pa.concat_tables(pq.read_table(f"{folder.path}/{name}", filesystem=folder.fs) for name in folder.names())


def test_the_demo_ends_as_on_a_disk_and_a_second_one_writes_nothing(store, demo, tmp_path):
    run_demo(str(tmp_path / "demo"))
    here = predictions(str(tmp_path / "demo" / "labels"))
    there = predictions("s3://scans/demo/labels")
    assert len(here) == 359
    assert here.equals(there)
    assert store.read("demo/labels/predictions.csv") == (tmp_path / "demo" / "labels" / "predictions.csv").read_bytes()
    report = json.loads((tmp_path / "demo" / "report" / "report.json").read_text())
    assert report["all_inputs"] == json.loads(store.read("demo/report/report.json"))["all_inputs"]
    assert report["all_inputs"]["accuracy"] > 0.8
    assert "s3://scans/demo/report/report.html: accuracy" in demo

    before = store.objects("demo/")
    assert run_demo("s3://scans/demo").count("is already complete") == 4
    assert store.objects("demo/") == before


@pytest.mark.usefixtures("demo")
def test_a_labelling_whose_command_is_killed_is_exact(store):
    def words(out):
        return [
            "label",
            "--images",
            "s3://scans/demo/held-out",
            "--model",
            "emnist47",
            "--only",
            "digits",
            "--out",
            out,
        ]

    def done(out):
        return len(store.objects(f"{out}/predictions/"))

    begun = len(store.requests())
    assert Command(words("s3://scans/undisturbed")).end()[0] == 0
    # Each image by two requests, its size and its content, and once more those that the overview shows.
    assert len(store.requests()) - begun < 2 * 359 + 500
    command = Command([*words("s3://scans/killed"), "--workers", 1])
    command.wait_until(lambda: done("killed") >= 1)
    assert command.kill()[0] != 0
    assert 1 <= done("killed") < done("undisturbed")
    assert "killed/manifest.json" not in store.objects("killed/")
    status, told, said = Command(words("s3://scans/killed")).end()
    assert (status, said) == (0, "")
    assert int(re.search(r"(\d+) of 3 parts to do", told)[1]) < 3
    rows = predictions("s3://scans/killed")
    assert rows.equals(predictions("s3://scans/undisturbed"))
    assert len(rows) == len({*rows["id"].to_pylist()}) == 359


@pytest.mark.usefixtures("demo")
def test_a_labelling_on_the_store_hands_out_there(store):
    words = ["label", "--images", "s3://scans/demo/held-out", "--model", "s3://scans/demo/run",
             "--out", "s3://scans/demo/labels", "--sort-into", "s3://scans/sorted",
             "--label-studio", "s3://scans/tasks.json"]  # fmt: skip
    status, told, said = Command(words).end()
    assert (status, said) == (0, "")
    assert "is already complete" in told
    assert "s3://scans/sorted: 359 images copied" in told
    rows = predictions("s3://scans/demo/labels").to_pylist()
    assert len([key for key in store.objects("sorted/") if key.endswith(".png")]) == 359
    tasks = json.loads(store.read("tasks.json"))
    assert {task["data"]["image"] for task in tasks} == {f"s3://scans/demo/held-out/{row['id']}" for row in rows}
    words[words.index("--sort-into") + 1] = "s3://scans/demo/labels/sorted"
    assert Command(words).end()[0] == 1


@pytest.mark.usefixtures("demo")
def test_a_training_that_streams_from_the_store_goes_on_from_its_checkpoint_there(store):
    words = ["train", "--data", "s3://scans/demo/samples", "--out", "s3://scans/streamed", "--epochs", 3,
             "--batch-size", 64, "--memory", 0.0005]  # fmt: skip
    command = Command(words)
    command.wait_until(lambda: bool(store.objects("streamed/checkpoints/epoch-000001")))
    assert command.kill()[0] != 0
    assert "streamed/manifest.json" not in store.objects("streamed/")
    status, told, said = Command(words).end()
    assert (status, said) == (0, "")
    assert "they are streamed" in told
    assert re.search(r"going on after epoch [12]", told)
    history = [json.loads(line) for line in store.read("streamed/history.jsonl").splitlines()]
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    assert not store.objects("streamed/ray/")


@pytest.mark.usefixtures("demo")
def test_truth_reports_corrections_and_exports_may_lie_on_the_store(store, capsys):
    labelled = ["--predictions", "s3://scans/demo/labels", "--truth", "s3://scans/demo/held-out.csv"]
    report = ["evaluate", *labelled, "--against", "s3://scans/demo/report", "--out", "s3://scans/compared"]
    assert hwr(*report) == 0
    assert "0 mended and 0 broken since" in capsys.readouterr().out
    assert hwr("export", "--model", "s3://scans/demo/run", "--format", "onnx", "--out", "s3://scans/model.onnx") == 0
    assert len(store.read("model.onnx")) > 100_000
    first = min(store.objects("demo/images/"))
    name = first.removeprefix("demo/images/")
    store.client.put_object(Bucket=s3.BUCKET, Key="corrections.csv", Body=f"file,label\n{name},7\n".encode())
    words = ["ingest", "--source", "s3://scans/demo/images", "--format", "image-folder", "--out", "s3://scans/mended",
             "--corrections", "s3://scans/corrections.csv"]  # fmt: skip
    status, told, said = Command(words).end()
    assert (status, said) == (0, "")
    assert "1 label corrected" in told


@pytest.mark.usefixtures("store")
def test_a_listing_of_several_pages_is_whole():
    folder = Folder.open("s3://scans/many")
    wanted = [f"{number % 7}/{number:05d}.png" for number in range(5003)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: folder.write_bytes(name, b""), wanted))
    assert [name for name, _ in folder.walk()] == sorted(wanted)


def test_what_a_store_refuses_is_one_line_that_says_what_to_do(store, capsys, monkeypatch):
    def said(location):
        assert hwr("evaluate", "--predictions", location, "--out", "s3://scans/never") == 1
        return capsys.readouterr().err

    assert said("s3://nowhere/x") == (
        "hwr evaluate: s3://nowhere/x: there is no bucket nowhere: make it first, or mend the name\n"
    )
    with store.closed():
        assert re.fullmatch(
            r"hwr evaluate: s3://scans/x.*: access is denied \(\w+\): set AWS_ACCESS_KEY_ID .*\n", said("s3://scans/x")
        )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    line = said("s3://scans/x")
    assert re.fullmatch(r"hwr evaluate: s3://scans/x.*: the object store does not answer \(.*\): check AWS_.*\n", line)


def test_a_store_that_refuses_a_file_makes_no_reject_of_it(store):
    folder = Folder.open("s3://scans/refused")
    folder.write_bytes("a.png", b"1")
    with store.closed(), pytest.raises(StorageError, match="access is denied"):
        list(read_files(folder, ["a.png"]))
    assert [found.reason for found in read_files(folder, ["a.png", "none.png"])] == ["not-an-image", "missing"]
