"""The temperature is the one that fits, the figures are those of the raw rows, and a threshold keeps its promise."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from hwr.calibration import BINS, TEMPERATURES, Calibration, best_temperature, count, losses
from hwr.errors import InputError

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, rows: int = 4000, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores (rows, 10) of this true temperature: labels are drawn from the softmax of the scores divided by it."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, 10, generator=generator) * 5
    labels = scores.softmax(1).multinomial(1, generator=generator).squeeze(1)
    return scores * temperature, labels


def counted(scores: torch.Tensor, labels: torch.Tensor, temperature: float = 1.0) -> Calibration:
    rows, right = (tuple(map(int, counts)) for counts in count(scores, labels, temperature).tolist())
    return Calibration(temperature, rows, right)


def answered(seed: int, rows: int) -> Calibration:
    return counted(*drawn(seed, rows))


@settings(max_examples=20)
@given(SEEDS, st.floats(0.2, 5))
def test_the_temperature_that_is_true_is_found_and_is_where_the_loss_is_least(seed, true):
    scores, labels = drawn(seed, temperature=true)
    found = best_temperature(losses(scores, labels).tolist())
    assert found == pytest.approx(true, rel=0.15)
    wide = scores.double().numpy()

    def loss(log: float) -> float:
        ours = wide / math.exp(log)
        return (np.logaddexp.reduce(ours, axis=1) - ours[np.arange(len(ours)), labels.numpy()]).sum()

    exact = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-6})
    assert math.log(found) == pytest.approx(exact.x, abs=0.005)
    assert loss(math.log(found)) <= loss(0) + 0.1


@settings(max_examples=25)
@given(SEEDS, st.lists(st.integers(0, 300), max_size=4))
def test_sums_of_parts_give_what_all_rows_give(seed, cuts):
    scores, labels = drawn(seed, 300)
    parts = list(zip(scores.tensor_split(sorted(cuts)), labels.tensor_split(sorted(cuts)), strict=True))
    whole = losses(scores, labels)
    parted = torch.stack([losses(*part) for part in parts if len(part[1])]).sum(0)
    assert torch.allclose(parted, whole, rtol=1e-6)
    assert best_temperature(parted.tolist()) == pytest.approx(best_temperature(whole.tolist()), abs=2e-4)
    assert torch.equal(sum(count(*part, 1.3) for part in parts), count(scores, labels, 1.3))


def test_few_rows_without_a_mistake_do_not_claim_certainty():
    scores = torch.tensor([[4.0, 0, 0]]).repeat(30, 1)
    found = best_temperature(losses(scores, torch.zeros(30, dtype=torch.int64)).tolist())
    assert 0.4 < found < 1
    assert (scores / found).softmax(1)[0, 0] < 1 - 1e-5


def test_scores_that_say_far_too_much_or_too_little_stop_at_the_ends():
    noise, labels = drawn(0, 4000)
    assert best_temperature(losses(noise * 1000, labels).tolist()) == TEMPERATURES[-1]
    assert best_temperature(losses(noise / 1000, labels).tolist()) == TEMPERATURES[0]


def test_scores_that_are_no_numbers_are_one_line():
    scores = torch.full((5, 3), math.nan)
    with pytest.raises(InputError, match="scores are no finite numbers"):
        best_temperature(losses(scores, torch.zeros(5, dtype=torch.int64)).tolist())


@given(SEEDS, st.integers(1, 2000), st.floats(0.3, 3))
def test_counts_and_calibration_error_are_those_of_the_raw_rows(seed, rows, temperature):
    scores, labels = drawn(seed, rows, 1.5)
    found = counted(scores, labels, temperature)
    wide = scores.double().numpy() / temperature
    chances = np.exp(wide - np.logaddexp.reduce(wide, axis=1, keepdims=True))
    confidence, right = chances.max(1), chances.argmax(1) == labels.numpy()
    assert (sum(found.rows), sum(found.right)) == (rows, right.sum())

    ece = 0.0
    for low in range(15):
        inside = (confidence >= low / 15) & ((confidence < (low + 1) / 15) | (low == 14))
        if inside.any():
            ece += abs(confidence[inside].mean() - right[inside].mean()) * inside.mean()
    assert found.ece == pytest.approx(ece, abs=1 / 3000 + 1e-4)


def test_a_confidence_of_one_is_in_the_last_bin():
    found = counted(torch.tensor([[200.0, 0], [0, 200.0]]), torch.tensor([0, 0]))
    assert (found.rows[-1], found.right[-1], sum(found.rows)) == (2, 1, 2)


@given(SEEDS, st.integers(200, 3000), st.floats(0.3, 0.99))
def test_a_threshold_says_what_the_raw_rows_say_and_no_lower_one_reaches_the_target(seed, rows, target):
    scores, labels = drawn(seed, rows)
    confidence, answer = (column.numpy() for column in scores.softmax(1).double().max(1))
    right = answer == labels.numpy()
    bins = np.minimum(np.floor(confidence * BINS), BINS - 1)
    expected = None  # the lowest that reaches the target
    for number in np.unique(bins):
        within = right[bins >= number]
        z, count_, share = norm.ppf(0.975), len(within), within.mean()
        spread = z * math.sqrt(share * (1 - share) / count_ + (z / count_ / 2) ** 2)
        if (share + z**2 / count_ / 2 - spread) / (1 + z**2 / count_) >= target:
            expected = (number / BINS, count_ / rows, share)
            break
    if expected is None:
        with pytest.raises(InputError, match=f"is out of reach: the {rows:,} samples by which this model was"):
            counted(scores, labels).threshold(target)
    else:
        found = counted(scores, labels).threshold(target)
        assert (found.min_confidence, found.coverage, found.accuracy) == pytest.approx(expected)
        assert found.accuracy > target


@settings(max_examples=30)
@given(SEEDS, st.integers(50, 2000), st.lists(st.floats(0.01, 0.99), min_size=2))
def test_a_higher_target_never_lowers_the_threshold_nor_raises_coverage(seed, rows, targets):
    calibration, found = answered(seed, rows), []
    for target in sorted(targets):
        try:
            found.append(calibration.threshold(target))
        except InputError:
            break
    for lower, higher in itertools.pairwise(found):
        assert lower.min_confidence <= higher.min_confidence
        assert lower.coverage >= higher.coverage


def test_a_threshold_keeps_its_promise_on_rows_that_it_was_not_chosen_by():
    confidence = drawn(0, 400_000)[0].softmax(1).amax(1).double()  # labels are drawn from it: accuracy is its mean
    kept = []
    for seed in range(1, 201):
        least = answered(seed, 2000).threshold(0.9).min_confidence
        kept.append(bool(confidence[confidence >= least].mean() >= 0.9))
    assert np.mean(kept) > 0.95


def test_a_target_that_validation_does_not_support_names_the_best_that_it_does():
    calibration = answered(0, 300)
    with pytest.raises(
        InputError, match=r"--target-accuracy 0.9999 is out of reach: the 300 samples .* support"
    ) as told:
        calibration.threshold(0.9999)
    best = float(str(told.value).split()[-3])
    assert calibration.threshold(best).accuracy > best
    with pytest.raises(InputError, match="out of reach"):
        calibration.threshold(best + 1e-4)


@pytest.mark.parametrize("target", [0, 1, -1, 1.5, math.nan])
def test_a_target_that_is_no_share_is_one_line(target):
    with pytest.raises(InputError, match="must be above 0 and below 1"):
        answered(0, 100).threshold(target)


@given(SEEDS, st.integers(1, 3000), st.floats(TEMPERATURES[0], TEMPERATURES[-1]))
def test_a_card_keeps_all_of_it(seed, rows, temperature):
    found = counted(*drawn(seed, rows), temperature)
    found = dataclasses.replace(found, answers=(rows - rows // 3, 0, rows // 3))
    text = json.dumps(found.to_json())
    assert Calibration.from_json(json.loads(text)) == found
    assert len(text) < 40_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0}, "but 0"),
        ({"temperature": math.nan}, "but nan"),
        ({"temperature": -1.0}, "no temperature"),
        ({"temperature": 100}, "but 100"),
        ({"temperature": True}, "but True"),
        ({"temperature": "1"}, "but '1'"),
        ({"temperature": None}, "but None"),
        ({"bins": ""}, "bins"),
        ({"bins": None}, "bins"),
        ({"bins": [1]}, "bins"),
        ({"bins": "1 2 3"}, "bins"),
        ({"bins": "1 0 0"}, "bins"),
        ({"bins": "-1 1 1"}, "bins"),
        ({"bins": "1500 1 1"}, "bins"),
        ({"bins": "2 1 1, 1 1 1"}, "bins"),
        ({"bins": "1 1 1, 1 1 1"}, "bins"),
        ({"bins": "1 1.5 1"}, "bins"),
        ({"bins": "١ 1 1"}, "bins"),
        ({"answers": [1]}, "answers"),
        ({"answers": [3, -1]}, "answers"),
        ({"answers": [1.0, 1]}, "answers"),
        ({"answers": [True, 1]}, "answers"),
        ({"answers": "2"}, "answers"),
    ],
)
def test_a_card_that_was_tampered_with_is_one_line(change, message):
    with pytest.raises(InputError, match=message):
        Calibration.from_json({"temperature": 1.0, "bins": "3 2 1", **change})


@pytest.mark.parametrize("found", [[1], "text", 3])
def test_what_is_no_calibration_at_all_is_one_line(found):
    with pytest.raises(InputError, match="no temperature"):
        Calibration.from_json(found)
