"""The training loop learns, decides alike everywhere, and goes on after a stop as if there had been none."""

import copy
import os
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from hwr import models
from hwr.augment import AugmentConfig
from hwr.device import place
from hwr.errors import HwrError, InputError
from hwr.training import Epoch, Glyphs, Ranks, Recipe, Training, fit, one_cycle, validate

RECIPE = Recipe(epochs=3, batch_size=64, precision="float32")


@pytest.fixture(scope="module")
def glyphs(digits):
    images = torch.nn.functional.interpolate(torch.from_numpy(digits[0]).unsqueeze(1).float(), size=28, mode="bilinear")
    labels = torch.from_numpy(digits[1])
    whole = Glyphs(images.squeeze(1).round().to(torch.uint8), labels)
    return Glyphs(whole.images[:600], whole.labels[:600]), Glyphs(whole.images[600:801], whole.labels[600:801])


def started(recipe=RECIPE) -> Training:
    torch.manual_seed(recipe.seed)
    return Training.start(place(models.build("glyphnet", 28, 10), torch.device("cpu")), recipe)


def facts(epoch: Epoch) -> Epoch:
    return replace(epoch, seconds=0, images_per_second=0)


def test_it_learns_digits(glyphs):
    training = started(Recipe(epochs=8, batch_size=64))
    history = list(fit(training, *glyphs, Recipe(epochs=8, batch_size=64), AugmentConfig()))
    assert [epoch.epoch for epoch in history] == list(range(1, 9))
    assert history[-1].val_accuracy > 0.9
    assert history[-1].train_loss < history[0].train_loss


def test_a_stop_between_epochs_leaves_no_trace(glyphs, tmp_path):
    straight = started()
    undisturbed = [facts(epoch) for epoch in fit(straight, *glyphs, RECIPE, AugmentConfig())]

    stopped = started()
    first = next(fit(stopped, *glyphs, RECIPE, AugmentConfig()))
    torch.save(stopped.state_dict(), tmp_path / "state.pt")
    resumed = started(replace(RECIPE, seed=99))
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    rest = list(fit(resumed, *glyphs, RECIPE, AugmentConfig()))

    assert [facts(epoch) for epoch in (first, *rest)] == undisturbed
    assert [facts(epoch) for epoch in resumed.history] == undisturbed
    for name, value in straight.best.items():
        assert torch.equal(value, resumed.best[name]), name


def test_training_stops_when_validation_gets_no_better():
    history = [Epoch(n, 1, 0.5, 1, accuracy, 0, 1, 1, best=False) for n, accuracy in enumerate([0.5, 0.7, 0.6, 0.6], 1)]
    training = started()
    training.history = history
    assert training.is_over(Recipe(epochs=9, patience=2))
    assert not training.is_over(Recipe(epochs=9, patience=3))
    assert not training.is_over(Recipe(epochs=9, patience=0))
    assert training.is_over(Recipe(epochs=4, patience=0))
    assert training.best_epoch() == history[1]


def test_a_loss_that_is_no_number_is_one_line(glyphs):
    with pytest.raises(HwrError, match="the loss became nan in epoch 1: lower --learning-rate"):
        list(fit(started(), *glyphs, replace(RECIPE, learning_rate=1e30), AugmentConfig()))


def test_the_best_weights_are_those_that_were_validated(glyphs):
    training = started()
    history = list(fit(training, *glyphs, RECIPE, AugmentConfig()))
    best = training.best_epoch()
    model = copy.deepcopy(training.model)
    model.load_state_dict(training.best)
    loss, accuracy = validate(model, glyphs[1], "float32", Ranks())
    assert best == max(history, key=lambda epoch: (epoch.val_accuracy, -epoch.val_loss))
    assert (loss, accuracy) == pytest.approx((best.val_loss, best.val_accuracy), abs=1e-6)


def test_fewer_samples_than_a_batch_still_train(glyphs):
    few = Glyphs(glyphs[0].images[:10], glyphs[0].labels[:10])
    assert len(list(fit(started(), few, few, replace(RECIPE, epochs=1), AugmentConfig()))) == 1


def _rank(rank: int, world: int, folder: str, glyphs) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    training = started()
    history = [facts(epoch) for epoch in fit(training, *glyphs, replace(RECIPE, epochs=2), AugmentConfig())]
    torch.save({"history": [vars(epoch) for epoch in history], "best": training.best}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_ranks_see_the_same_batches_count_every_row_and_agree(glyphs, tmp_path):
    mp.spawn(_rank, (2, str(tmp_path), glyphs), nprocs=2)
    one, two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for name, value in one.pop("best").items():
        assert torch.equal(value, two["best"][name]), name
    one, two = one["history"], two["history"]
    assert one == two
    alone = list(fit(started(), *glyphs, replace(RECIPE, epochs=2), AugmentConfig()))
    # Batch norm sees half a batch on each rank, so losses are near, not equal; counts are of the same rows.
    assert one[0]["train_loss"] == pytest.approx(alone[0].train_loss, rel=0.2)
    for epoch in one:
        assert (epoch["val_accuracy"] * 201) == pytest.approx(round(epoch["val_accuracy"] * 201), abs=1e-6)


def test_the_rate_rises_to_its_peak_and_falls_to_nearly_nothing():
    rates = [one_cycle(step / 1000) for step in range(1001)]
    assert max(rates) == pytest.approx(1, abs=1e-3)
    assert rates.index(max(rates)) == 200
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.001)


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": -1}, {"learning_rate": float("nan")}, {"patience": -1}],
)
def test_impossible_recipes_are_one_line(wrong):
    with pytest.raises(InputError, match=f"--{next(iter(wrong)).replace('_', '-')}"):
        Recipe(**wrong)
