"""Whose a folder is, and when it is complete."""

import pytest

from hwr import manifest
from hwr.errors import InputError, OutputError
from hwr.manifest import Claim
from hwr.storage import Folder


@pytest.fixture
def out(tmp_path):
    return Folder.open(str(tmp_path / "out"))


def test_a_folder_goes_from_new_to_resumed_to_complete(out):
    claims = [manifest.claim(out, "samples", {"size": 28}, {"raw": "1"}) for _ in range(2)]
    manifest.complete(out, "samples", {"counts": {"splits": {}}, "size": 28, "files": [], "fingerprint": "1"})
    claims.append(manifest.claim(out, "samples", {"size": 28}, {"raw": "1"}))
    assert claims == [Claim.NEW, Claim.RESUMED, Claim.COMPLETE]
    assert manifest.require(out, "samples")["counts"] == {"splits": {}}


@pytest.mark.parametrize(
    ("kind", "settings", "inputs", "message"),
    [
        ("run", {"size": 28}, {"raw": "1"}, "holds a samples folder, not run"),
        ("samples", {"size": 32}, {"raw": "1"}, "was made with size=28, not 32"),
        ("samples", {"size": 28}, {"raw": "2"}, "was made from other content of raw"),
        ("samples", {"size": 28}, {"other": "1"}, "was made from other content of other, raw"),
    ],
)
def test_anything_else_is_refused_and_changes_nothing(out, kind, settings, inputs, message):
    manifest.claim(out, "samples", {"size": 28}, {"raw": "1"})
    before = out.read_bytes(manifest.CONFIG)
    with pytest.raises(OutputError, match=message):
        manifest.claim(out, kind, settings, inputs)
    assert out.read_bytes(manifest.CONFIG) == before


def test_a_folder_of_somebody_else_is_refused(out):
    out.write_bytes("thesis.txt", b"mine")
    with pytest.raises(OutputError, match="exists and was not made by hwr"):
        manifest.claim(out, "samples", {}, {})


def test_settings_are_compared_as_they_are_written(out):
    assert manifest.claim(out, "run", {"pair": (1, 2)}, {}) is Claim.NEW
    assert manifest.claim(out, "run", {"pair": [1, 2]}, {}) is Claim.RESUMED


def test_each_way_a_folder_can_be_unfit_has_its_line(out):
    with pytest.raises(InputError, match="does not exist or is empty: make it with hwr ingest"):
        manifest.require(out, "samples")
    out.write_bytes("x", b"")
    with pytest.raises(InputError, match="it is not a folder that hwr ingest made"):
        manifest.require(out, "samples")
    out.write_json(manifest.CONFIG, {})
    with pytest.raises(InputError, match="its ingest did not finish; run the same hwr ingest command again"):
        manifest.require(out, "samples")
    out.write_json(manifest.MANIFEST, {"kind": "run", "version": 1})
    with pytest.raises(InputError, match="holds a run folder, but samples is needed"):
        manifest.require(out, "samples")
    out.write_json(manifest.MANIFEST, {"kind": "samples", "version": 99})
    with pytest.raises(InputError, match="version 99 of the contract"):
        manifest.require(out, "samples")


def test_damaged_files_are_one_line(out):
    out.write_bytes(manifest.CONFIG, b"{}")
    with pytest.raises(OutputError, match=r"config\.json is damaged"):
        manifest.claim(out, "samples", {}, {})
    out.write_bytes(manifest.MANIFEST, b"[]")
    with pytest.raises(InputError, match="is damaged: it holds a list instead of an object"):
        manifest.require(out, "samples")
    manifest.complete(out, "samples", {"counts": 3, "size": 28})
    with pytest.raises(InputError, match="is damaged: it lacks fingerprint, files"):
        manifest.require(out, "samples")


def test_fingerprints_feel_boundaries():
    assert manifest.fingerprint(b"ab", b"c") != manifest.fingerprint(b"a", b"bc")


@pytest.mark.parametrize(
    "fact",
    [{"counts": []}, {"counts": {}}, {"counts": {"splits": 3}}, {"size": "28"}, {"files": {}}, {"files": [1]},
     {"files": [{"rows": 1}]}, {"fingerprint": None}],
)  # fmt: skip
def test_a_fact_of_another_type_is_one_line(out, fact):
    facts = {"counts": {"splits": {}}, "size": 28, "files": [{"name": "a"}], "fingerprint": "1"}
    manifest.complete(out, "samples", facts)
    assert manifest.require(out, "samples")["size"] == 28
    manifest.complete(out, "samples", facts | fact)
    (name,) = fact
    with pytest.raises(InputError, match=rf"manifest\.json is damaged: hwr ingest does not write such {name}"):
        manifest.require(out, "samples")
