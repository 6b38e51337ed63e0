"""Labels and levels are agreed over the network, and what cannot be trained is refused by all alike."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from p2pnet.agent.options import training_options
from p2pnet.config import settings_of
from p2pnet.data.encoding import Category, EncodedColumn, Encoding
from p2pnet.data.samples import Samples
from p2pnet.errors import DataError
from p2pnet.optim.network_curvature import MAX_PARAMS_BY_DEFAULT, n_tracked
from p2pnet.protocol.core.effects import PutOff
from p2pnet.protocol.core.types import FeatureStatistics, Nonce
from p2pnet.protocol.messages.training import MAX_LABELS, MAX_TEXT_LENGTH, TOO_MANY, Hello, united
from p2pnet.protocol.rounds.fingerprints import refusal
from p2pnet.training.agreement import LEAST_ROWS, labels_and_levels, own_levels
from p2pnet.training.options import TrainingOptions
from p2pnet.training.training import make_outline, make_training, summarize

N = 60


def patients(wards: tuple[str, ...], outcomes: tuple[str, ...] = ("died", "well"), missing: Any = "mean") -> Samples:
    """Age with gaps, and a ward each."""
    rng = np.random.default_rng(0)
    encoding = Encoding((EncodedColumn("age", "number"), EncodedColumn("ward", "category")), missing)
    age = rng.normal(60, 10, (N, 1))
    age[::7] = np.nan
    levels = tuple(dict.fromkeys(wards))
    codes = np.array([levels.index(wards[k % len(wards)]) for k in range(N)], dtype=np.int32)
    Y = np.arange(N) % len(outcomes)
    wards_of = (Category("ward", levels, codes),)
    return Samples(age, Y, "classification", outcomes, ("age",), "outcome", None, encoding, wards_of)


def options(**values: Any) -> TrainingOptions:
    plain = {"data.source": "x.csv", "data.missing": "mean", "data.categorical": ("ward",), "model.hidden": (3,)}
    return training_options(settings_of({**plain, **values}, "test"), "classification")


def test_a_level_of_fewer_rows_than_ten_stays_at_its_site() -> None:
    samples = patients(("ICU", "ICU", "lab", "lab", "lab", "lab"))
    rare = samples.take(slice(4 * LEAST_ROWS - 4))
    assert N / 6 * 2 >= LEAST_ROWS
    told = labels_and_levels(own_levels(rare.take(slice(0)), rare), samples)[1]
    assert told == {"ward": ("ICU", "lab")}
    rarer = samples.take(slice(LEAST_ROWS))
    assert labels_and_levels(own_levels(rarer, rarer.take(slice(0))), samples)[1] == {"ward": ()}


def test_levels_of_all_sites_are_inputs_everywhere_and_others_are_other() -> None:
    mine, theirs = patients(("ICU", "ICU", "rare ward")), patients(("lab", "ICU"))
    told = options()
    summaries = [summarize(told, samples, samples) for samples in (mine, theirs)]
    assert summaries[0] is not None
    assert summaries[1] is not None
    labels = united(summaries[0].labels, summaries[1].labels)
    found = FeatureStatistics("ann 1", labels, np.array([60.0]), np.array([100.0]))
    trained = [make_training(told, samples, samples, found) for samples in (mine, theirs)]
    names = ("age", "ward = ICU", "ward = lab", "ward = rare ward")
    assert {one.description.feature_names for one in trained} == {names}
    assert trained[0].fingerprint == trained[1].fingerprint
    scaling = trained[0].description.scaling
    assert (scaling.feature_mean.tolist(), scaling.feature_scale.tolist()) == ([60, 0, 0, 0], [10, 1, 1, 1])
    assert trained[0].params.size == 4 * 3 + 3 + 2 * 4


def test_what_is_missing_counts_in_no_mean_and_is_the_mean() -> None:
    samples = patients(("ICU",))
    summary = summarize(options(), samples, samples)
    assert summary is not None
    assert summary.counts is not None
    is_there = ~np.isnan(samples.X[:, 0])
    assert summary.counts.tolist() == [is_there.sum()]
    assert summary.n_samples == N
    np.testing.assert_allclose(summary.mean, samples.X[is_there].mean())
    np.testing.assert_allclose(summary.variance, samples.X[is_there].var())


def test_the_outline_knows_what_will_be_sent_at_most() -> None:
    samples = patients(("ICU", "lab"))
    told = options()
    outline = make_outline(told, samples, summarize(told, samples, samples))
    assert outline.fingerprint["columns"] == "age; ward (category)"
    assert outline.fingerprint["levels"] == outline.fingerprint["classes"] == "as found"
    assert outline.least_params == 3 * (3 + 1) + 2 * 4
    assert outline.most_params == n_tracked(MAX_PARAMS_BY_DEFAULT)
    without = options(**{"algorithm.weighting": "proxy"})
    outline = make_outline(without, samples, summarize(without, samples, samples))
    assert outline.most_params == 3 * (MAX_LABELS + 2) + MAX_LABELS * 4


@pytest.mark.parametrize("outcomes", [("well",), ("died", "moved", "well")])
def test_labels_of_one_site_are_no_reason_to_refuse_before_the_network_has_them(outcomes: tuple[str, ...]) -> None:
    samples = patients(("ICU",), outcomes)
    for loss in ("auto", "logistic"):
        told = options(**{"objective.loss": loss})
        assert make_outline(told, samples, summarize(told, samples, samples)).least_params > 0


def test_a_site_whose_levels_are_all_rare_still_waits_for_those_of_others() -> None:
    samples = patients(tuple(f"ward {k}" for k in range(30)), missing="refuse")
    values = {"data.classes": ("died", "well"), "data.standardize": "none", "data.missing": "refuse"}
    summary = summarize(options(**values), samples, samples)
    assert summary is not None
    assert summary.labels == ()


@pytest.mark.parametrize("n_labels", [700, 100_000])
def test_too_many_labels_or_levels_are_one_line_the_same_for_all(n_labels: int) -> None:
    sets = [tuple(f"{site}{k}" for k in range(n_labels)) for site in "ab"]
    assert united(united(*sets), ("few",)) == united(("few",), united(*sets)) == TOO_MANY
    samples = patients(("ICU", "lab"))
    found = FeatureStatistics("ann 1", united(*sets), np.zeros(1), np.ones(1))
    with pytest.raises(DataError, match=r"^the network has more than 1024 labels and levels of categories, or 12288"):
        make_training(options(), samples, samples, found)


def test_texts_that_no_agent_would_tell_are_passed_over() -> None:
    samples = patients(("ICU",))
    texts = ("\x1f9\x1flost", "\x1fx\x1flost", "\x1f", "\x1f0\x1fICU", "well")
    assert labels_and_levels(texts, samples) == (("well",), {"ward": ("ICU",)})


@pytest.mark.parametrize("name", ["Outcome", "größe " * 60])
def test_agents_that_predict_another_column_are_told_so_before_what_follows_from_it(name: str) -> None:
    told = options()
    mine = patients(("ICU",))
    theirs = replace(patients(("ICU",), outcomes=("x", "y", "z")), target_name=name)
    one, other = (make_outline(told, samples, None).fingerprint for samples in (mine, theirs))
    effects = refusal("bob", one, Hello(Nonce(1, 1), None, other, "bob", "", -1, is_confirmed=False))
    put_off = next(effect for effect in effects if isinstance(effect, PutOff))
    assert put_off.reason.startswith(f"target: theirs is {name[:20]}")
    assert "ours is outcome; give both the same data.target" in put_off.reason
    assert all(len(text.encode()) <= MAX_TEXT_LENGTH for text in other.values())
