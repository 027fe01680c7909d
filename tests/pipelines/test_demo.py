"""The demo works from end to end as a newcomer runs it, and a second run finds everything done."""

import json

import pandas as pd

from tests.jobs import contents, hwr_process


def test_the_demo_reads_the_held_out_folder_and_repeats_nothing(tmp_path):
    first = hwr_process("demo", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    report = json.loads((tmp_path / "demo" / "report" / "report.json").read_text())
    assert report["all_inputs"]["accuracy"] >= 0.97
    truth = pd.read_csv(tmp_path / "demo" / "held-out.csv", dtype=str).set_index("file")["label"]
    said = pd.read_csv(tmp_path / "demo" / "labels" / "predictions.csv", dtype=str).set_index("file")["prediction"]
    assert len(said) == len(truth) == len(list((tmp_path / "demo" / "held-out").iterdir()))
    assert (said == truth).mean() == report["all_inputs"]["accuracy"]
    assert f"{report['all_inputs']['accuracy']:.2%}" in first.stdout

    before = contents(tmp_path / "demo")
    second = hwr_process("demo", cwd=tmp_path)
    assert second.returncode == 0
    assert second.stdout.count("is already complete") == 4
    after = contents(tmp_path / "demo")
    assert {name for name in after if after[name] != before[name]} <= {"held-out.csv"}


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").touch()
    done = hwr_process("demo", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "hwr demo: demo exists and was not made by hwr demo: choose another --out\n"
