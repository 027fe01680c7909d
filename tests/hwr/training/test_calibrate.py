"""A network is calibrated on every validation sample once, with the same result however many ranks share them."""

import math
import os

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from hwr import bundle, manifest, models, schema, shards
from hwr.errors import InputError
from hwr.glyph import canonical_batch
from hwr.predictor import Predictor
from hwr.schema import images_to_arrow
from hwr.storage import Folder
from hwr.training import Glyphs, Ranks, calibrate
from hwr.training.calibrate import calibrate_folder
from tests.hwr.training.conftest import ALONE, shares

DIGITS = list("0123456789")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """A network that knows nothing, and says so far too loudly."""
    torch.manual_seed(0)
    network = models.build("baseline", 28, 10).eval()
    with torch.no_grad():
        for parameter in list(network.parameters())[-2:]:
            parameter.mul_(20)
    return network


@pytest.fixture
def folders(tmp_path, glyphs, network) -> tuple[Folder, Folder]:
    """A model folder, and a samples folder of two shards: a known validation row, a training row, an unknown one."""
    model, samples = (Folder.open(str(tmp_path / name)) for name in ("model", "samples"))
    bundle.save(model, network.state_dict(), bundle.Card("baseline", DIGITS, 28, bundle.PREPROCESSING))
    manifest.claim(samples, "samples", {}, {})
    images, _ = canonical_batch(list(glyphs[1].images.numpy()), 28)
    labels = [str(label) for label in glyphs[1].labels.tolist()]
    labels[5], labels[6] = "Q", None
    files = []
    for number in range(2):
        part = slice(number, None, 2)
        rows = len(labels[part])
        columns = {
            "id": [str(row) for row in range(rows)], "image": images_to_arrow(images[part]), "label": labels[part],
            "split": ["train" if row % 4 == 3 else "val" for row in range(rows)], "source": ["s"] * rows,
            "writer": pa.nulls(rows, pa.string()),
        }  # fmt: skip
        shards.write(samples, f"p{number}", pa.table(columns, schema=schema.samples(28)), schema.REJECTS.empty_table())
        files.append({"name": f"samples/p{number}.parquet", "rows": rows})
    facts = {"fingerprint": "0", "size": 28, "files": files, "counts": {"splits": {"val": 1}}}
    manifest.complete(samples, "samples", facts)
    return model, samples


@pytest.mark.usefixtures("float32")
def test_every_sample_counts_once_and_the_temperature_makes_the_network_modest(network, glyphs):
    found = calibrate(network, 10, shares(glyphs[1]), ALONE)
    assert sum(found.rows) == 201
    assert found.temperature > 2
    with torch.inference_mode():
        scores = network(glyphs[1].images.unsqueeze(1) / 255)
    assert sum(found.right) == int((scores.argmax(1) == glyphs[1].labels).sum())
    assert found.answers == tuple(int((scores.argmax(1) == number).sum()) for number in range(10))
    loss = [
        torch.nn.functional.cross_entropy(scores / each, glyphs[1].labels, reduction="sum").item()
        + math.log(each) ** 2 / 2
        for each in (found.temperature * 0.95, found.temperature, found.temperature * 1.05)
    ]
    assert loss[1] < min(loss[0], loss[2])


@pytest.mark.usefixtures("float32")
def test_a_folder_gives_what_the_predictor_says_of_its_known_validation_rows(folders):
    model, samples = folders
    found = calibrate_folder(model, samples)
    network, card = bundle.load(model)
    bundle.save(model, network.state_dict(), bundle.Card(**{**vars(card), "calibration": found.to_json()}))

    tables = [samples.read_table(name, split="val") for name in ("samples/p0.parquet", "samples/p1.parquet")]
    table = pa.concat_tables(tables)
    known = [label in DIGITS for label in table["label"].to_pylist()]
    chances = Predictor([model])(schema.images_from_arrow(table["image"])[known])
    assert sum(found.rows) == len(chances) == sum(known) < len(known)
    numbers = np.minimum((chances.max(1).astype(np.float64) * len(found.rows)).astype(int), len(found.rows) - 1)
    expected = np.bincount(numbers, minlength=len(found.rows))
    # Batches of another size may round otherwise, which moves a row to the next bin.
    assert np.abs(np.cumsum(expected) - np.cumsum(found.rows)).max() <= 2


def test_a_folder_without_a_known_character_is_one_line(folders):
    model, samples = folders
    network, card = bundle.load(model)
    other = bundle.Card(**{**vars(card), "alphabet": list("abcdefghij")})
    bundle.save(model, network.state_dict(), other)
    with pytest.raises(InputError, match="has no validation sample of a character that"):
        calibrate_folder(model, samples)


def _rank(rank: int, world: int, folder: str, val: Glyphs, network: torch.nn.Module) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet{world}", rank=rank, world_size=world)
    found = calibrate(network, 10, shares(val), Ranks.current())
    torch.save(found.to_json(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


# With three ranks and two batches, one of them has nothing to do.
@pytest.mark.parametrize("world", [2, 3])
def test_any_number_of_ranks_finds_the_same(network, glyphs, tmp_path, world):
    val = glyphs[1][:128]
    alone = calibrate(network, 10, shares(val), ALONE).to_json()
    mp.spawn(_rank, (world, str(tmp_path), val, network), nprocs=world)
    for rank in range(world):
        assert torch.load(tmp_path / f"{rank}.pt", weights_only=True) == alone
