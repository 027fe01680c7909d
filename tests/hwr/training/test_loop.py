"""The training loop learns, decides alike everywhere, and goes on after a stop as if there had been none."""

import copy
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from hwr import models
from hwr.augment import AugmentConfig
from hwr.device import as_input
from hwr.errors import HwrError, InputError
from hwr.training import Epoch, InMemory, Progress, Recipe, Training, fit, loop, validate, why_over
from hwr.training.step import Step
from tests.hwr.training.conftest import ALONE, feed, shares, started

AUGMENT = AugmentConfig()
RECIPE = Recipe(epochs=3, batch_size=64, precision="float32")


def epochs(training, glyphs, recipe=RECIPE, augmentation=AUGMENT, **asked) -> list[Epoch]:
    events = fit(training, feed(glyphs[0], recipe.seed), shares(glyphs[1]), recipe, augmentation, **asked)
    return [timeless(event) for event in events if isinstance(event, Epoch)]


def timeless(epoch: Epoch) -> Epoch:
    return replace(epoch, seconds=0, images_per_second=0)


def test_it_learns_digits(glyphs):
    recipe = Recipe(epochs=8, batch_size=64)
    history = epochs(started(recipe), glyphs, recipe)
    assert [epoch.epoch for epoch in history] == list(range(1, 9))
    assert history[-1].val_accuracy > 0.9
    assert history[-1].train_loss < history[0].train_loss


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("schedule", ["cosine", "constant", "plateau"])
def test_it_learns_with_other_recipes(glyphs, optimizer, schedule):
    rate = 0.05 if optimizer == "sgd" else 2e-3
    recipe = Recipe(
        epochs=4, batch_size=32, optimizer=optimizer, schedule=schedule, learning_rate=rate, weight_decay=1e-4, ema=0.9,
        balance="weights" if optimizer == "sgd" else "logits", label_smoothing=0,
    )  # fmt: skip
    history = epochs(started(recipe), glyphs, recipe, AugmentConfig(mixup=0.2 if schedule == "cosine" else 0))
    assert history[-1].val_accuracy > 0.6


def test_a_stop_between_epochs_leaves_no_trace(glyphs, tmp_path):
    straight = started(RECIPE)
    undisturbed = epochs(straight, glyphs)

    stopped = started(RECIPE)
    events = fit(stopped, feed(glyphs[0]), shares(glyphs[1]), RECIPE, AugmentConfig())
    first = next(event for event in events if isinstance(event, Epoch))
    torch.save(stopped.state_dict(), tmp_path / "state.pt")
    resumed = started(replace(RECIPE, seed=99))
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    rest = epochs(resumed, glyphs)

    assert [timeless(first), *rest] == undisturbed
    assert [timeless(epoch) for epoch in resumed.history] == undisturbed
    for name, value in straight.best.items():
        assert torch.equal(value, resumed.best[name]), name


def test_a_stop_within_an_epoch_leaves_no_trace(glyphs, tmp_path):
    recipe = replace(RECIPE, batch_size=16, epochs=2)
    straight = started(recipe)
    undisturbed = epochs(straight, glyphs, recipe)

    stopped = started(recipe)
    events = list(fit(stopped, feed(glyphs[0]), shares(glyphs[1]), recipe, AugmentConfig(), lambda: True))
    assert [(type(event), event.step, event.steps, event.save, event.stop) for event in events] == [
        (Progress, 1, 37, True, True)
    ]
    torch.save(stopped.state_dict(), tmp_path / "state.pt")
    resumed = started(replace(recipe, seed=99))
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))

    found = epochs(resumed, glyphs, recipe)
    # Sums of the same losses, added up in two parts.
    assert found[0].train_loss == pytest.approx(undisturbed[0].train_loss, rel=1e-12)
    assert [replace(epoch, train_loss=0) for epoch in found] == [replace(epoch, train_loss=0) for epoch in undisturbed]
    for name, value in straight.best.items():
        assert torch.equal(value, resumed.best[name]), name


def test_the_time_limit_ends_training_with_a_model_and_a_low_rate(glyphs, monkeypatch):
    monkeypatch.setattr(loop, "_LOOK_STEPS", 1)
    recipe = replace(RECIPE, epochs=1000, batch_size=16, time_limit=2 / 60, learning_rate=1e-3)
    training = started(recipe)
    history = epochs(training, glyphs, recipe)
    assert len(history) < 1000
    assert training.seconds >= 2
    assert training.best
    assert history[-1].learning_rate < 3e-4
    assert epochs(training, glyphs, recipe) == []


def test_training_stops_when_validation_gets_no_better():
    training = started(RECIPE)
    training.history = [
        Epoch(n, 1, 0.5, 1, accuracy, 0.5, 0, 1, 1, best=False) for n, accuracy in enumerate([0.5, 0.7, 0.705, 0.6], 1)
    ]
    assert training.is_over(Recipe(epochs=9, patience=1))
    assert not training.is_over(Recipe(epochs=9, patience=2))
    assert training.is_over(Recipe(epochs=9, patience=2, min_delta=0.01))
    assert not training.is_over(Recipe(epochs=9, patience=3, min_delta=0.01))
    assert not training.is_over(Recipe(epochs=9, patience=0))
    assert training.is_over(Recipe(epochs=4, patience=0))
    assert why_over(training.history, Recipe(epochs=9, patience=1), 4) == "1 epoch brought nothing better"
    assert why_over(training.history, Recipe(epochs=9, time_limit=0.5), 31).startswith("the 0.5 minutes of the time")


def test_a_loss_that_is_no_number_is_one_line(glyphs):
    recipe = replace(RECIPE, learning_rate=1e30, gradient_clip=0)
    with pytest.raises(HwrError, match="the loss became nan in epoch 1: choose a lower --learning-rate"):
        epochs(started(recipe), glyphs, recipe)


def test_weights_that_break_in_the_last_step_are_no_success(glyphs):
    recipe = replace(RECIPE, epochs=1, batch_size=600, learning_rate=1e36, optimizer="sgd", gradient_clip=0)
    with pytest.raises(HwrError, match="the validation loss became nan: choose a lower --learning-rate"):
        epochs(started(recipe), glyphs, recipe)


def test_a_weighed_and_smoothed_loss_pulls_towards_the_label(glyphs):
    counts = InMemory(glyphs[0], torch.tensor([1000, 1000, 10]), 0)
    recipe = Recipe(balance="weights", label_smoothing=0.1)
    step = Step.of(Training.start(models.build("glyphnet", 28, 3), recipe), counts, recipe, AUGMENT, ALONE)
    scores = torch.zeros(1, 3, requires_grad=True)
    step._loss(scores, torch.tensor([0]), None).backward()
    assert torch.allclose(scores.grad, 0.67 * (1 / 3 - torch.tensor([[1 - 0.1 * 2 / 3, 0.1 / 3, 0.1 / 3]])), rtol=1e-4)
    rare = torch.zeros(1, 3, requires_grad=True)
    step._loss(rare, torch.tensor([2]), None).backward()
    assert rare.grad.norm() / scores.grad.norm() == pytest.approx(100)


def test_the_best_weights_are_those_that_were_validated(glyphs):
    training = started(RECIPE)
    history = epochs(training, glyphs)
    best = max(history, key=lambda epoch: epoch.merit)
    assert [epoch for epoch in history if epoch.best][-1] == best
    model = copy.deepcopy(training.model)
    model.load_state_dict(training.best)
    loss, confusion = validate(model, shares(glyphs[1])(ALONE), 10, "float32", ALONE)
    assert loss == pytest.approx(best.val_loss, abs=1e-6)
    with torch.inference_mode():
        predicted = model(as_input(glyphs[1].images)).argmax(1)
    expected = np.zeros((10, 10), int)
    for true, guess in zip(glyphs[1].labels.tolist(), predicted.tolist(), strict=True):
        expected[true, guess] += 1
    assert np.array_equal(confusion.numpy(), expected)
    assert best.val_accuracy == expected.trace() / 201
    with np.errstate(invalid="ignore"):  # a class that nothing was taken for has no precision
        recall, precision = (expected.diagonal() / expected.sum(axis) for axis in (1, 0))
        f1 = np.nan_to_num(2 * recall * precision / (recall + precision))
    assert best.val_f1 == pytest.approx(f1.mean())


def test_fewer_samples_than_a_batch_still_train_but_one_does_not(glyphs):
    recipe = replace(RECIPE, epochs=1)
    few = glyphs[0][:10], glyphs[0][:10]
    assert len(epochs(started(recipe), few, recipe)) == 1
    one = glyphs[0][:1], glyphs[0][:1]
    with pytest.raises(InputError, match="a batch of 1 sample"):
        epochs(started(recipe), one, recipe)


def _rank(rank: int, world: int, folder: str, glyphs) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet{world}", rank=rank, world_size=world)
    recipe = replace(RECIPE, epochs=2)
    training = started(recipe)
    history = epochs(training, glyphs, recipe)
    facts = [vars(epoch) for epoch in history], int(training.confusion.sum()), training.optimizer.state_dict()
    steps = {int(state["step"]) for state in facts[2]["state"].values()}
    torch.save({"history": facts[0], "rows": facts[1], "steps": steps, "best": training.best}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_take_the_same_steps_count_every_row_and_agree(glyphs, tmp_path, world):
    mp.spawn(_rank, (world, str(tmp_path), glyphs), nprocs=world)
    first, *others = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(world))
    assert first["rows"] == 201
    assert first["steps"] == {2 * (600 // 64)}
    alone = epochs(started(RECIPE), glyphs, replace(RECIPE, epochs=2))
    # Batch norm sees a part of the batch on each rank, so losses are near, not equal; counts are of the same rows.
    assert first["history"][0]["train_loss"] == pytest.approx(alone[0].train_loss, rel=0.2)
    for other in others:
        for name, value in first["best"].items():
            assert torch.equal(value, other["best"][name]), name
        assert {**other, "best": 0} == {**first, "best": 0}
