"""A checkpoint's bytes: what is written is read again to the last bit, and nothing else is."""

from collections.abc import Mapping
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from p2pnet.errors import CheckpointError
from p2pnet.protocol.core.types import FeatureStatistics
from p2pnet.protocol.rounds.snapshot import RoundSnapshot
from p2pnet.training.checkpoint import (
    VERSION,
    VERSION_WITHOUT_CANDIDATES,
    Checkpoint,
    decode_checkpoint,
    encode_checkpoint,
    pieces_of,
    sealed,
)
from p2pnet.training.records import LearnerState

STATISTICS = FeatureStatistics("a:1", ("cat", "dög"), np.array([0.5, -1.0]), np.array([1.0, 1e-300]))
FINGERPRINT = {"model": "2-3-1 tanh", "loss": "half-squared"}


def checkpoint(
    statistics: FeatureStatistics | None = STATISTICS, candidates: Mapping[int, np.ndarray] | None = None
) -> Checkpoint:
    rounds = RoundSnapshot(17, np.array([1.0, np.pi, -0.0]), 3.25, is_converged=False, statistics=statistics)
    rounds = replace(rounds, epoch=3, first_round=11)
    learner = LearnerState({"proximal_weight": 0.7, "n_steps": 12.0}, candidates or {})
    return Checkpoint(rounds, learner, FINGERPRINT, 4e-3, samples="a digest")


@given(
    params=arrays(np.float64, st.integers(0, 20), elements=st.floats(allow_nan=False, allow_infinity=False)),
    round_=st.integers(1, 2**40),
    has_statistics=st.booleans(),
    is_concluded=st.booleans(),
    numbers=st.sets(st.integers(0, 2**40), max_size=3),
)
def test_what_is_written_is_read_again(
    params: np.ndarray, round_: int, has_statistics: bool, is_concluded: bool, numbers: set[int]
) -> None:
    candidates = {number: params + number for number in sorted(numbers)}
    written = checkpoint(STATISTICS if has_statistics else None, candidates)
    written = replace(written, rounds=replace(written.rounds, params=params, round=round_, is_concluded=is_concluded))
    read = decode_checkpoint(encode_checkpoint(written))
    assert encode_checkpoint(read) == encode_checkpoint(written)
    np.testing.assert_array_equal(read.rounds.params, params)
    assert (read.rounds.round, read.learner.numbers, read.fingerprint) == (
        round_,
        written.learner.numbers,
        FINGERPRINT,
    )
    assert list(read.learner.candidates) == sorted(numbers)
    for number, candidate in read.learner.candidates.items():
        np.testing.assert_array_equal(candidate, params + number)
    assert read.rounds.is_concluded is is_concluded
    assert (read.rounds.epoch, read.rounds.first_round, read.samples) == (3, 11, "a digest")
    if has_statistics:
        assert read.rounds.statistics is not None
        assert read.rounds.statistics.labels == STATISTICS.labels
        np.testing.assert_array_equal(read.rounds.statistics.variance, STATISTICS.variance)


def test_a_file_that_was_cut_off_anywhere_is_damaged() -> None:
    content = encode_checkpoint(checkpoint())
    for n_bytes in range(len(content)):
        with pytest.raises(CheckpointError, match="is damaged"):
            decode_checkpoint(content[:n_bytes])


def test_a_bit_that_was_turned_anywhere_is_found() -> None:
    content = encode_checkpoint(checkpoint())
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        with pytest.raises(CheckpointError):
            decode_checkpoint(bytes(damaged))


def test_a_newer_version_is_refused_and_not_taken_for_damage() -> None:
    with pytest.raises(CheckpointError, match=r"^has format 3, and this p2pnet reads up to 2$"):
        decode_checkpoint(sealed(bytes(8), VERSION + 1))


def test_without_candidates_it_is_of_the_format_that_older_releases_read() -> None:
    assert encode_checkpoint(checkpoint())[8] == VERSION_WITHOUT_CANDIDATES
    assert encode_checkpoint(checkpoint(candidates={0: np.zeros(3)}))[8] == VERSION


def test_candidates_of_another_size_are_damage() -> None:
    with pytest.raises(CheckpointError, match="a candidate is of another size than the parameters"):
        decode_checkpoint(encode_checkpoint(checkpoint(candidates={0: np.zeros(4)})))


def test_parameters_that_are_not_finite_are_not_gone_on_from() -> None:
    spoilt = replace(checkpoint(), rounds=replace(checkpoint().rounds, params=np.array([np.nan])))
    with pytest.raises(CheckpointError, match="not finite"):
        decode_checkpoint(encode_checkpoint(spoilt))


def test_another_trainings_is_refused_with_the_field_that_differs() -> None:
    checkpoint().check(FINGERPRINT)
    with pytest.raises(CheckpointError, match=r"^is of another training: its loss is half-squared, .* settings huber$"):
        checkpoint().check({**FINGERPRINT, "loss": "huber"})
    with pytest.raises(CheckpointError, match="its weighting is none"):
        checkpoint().check({**FINGERPRINT, "weighting": "own"})


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_checkpoint_is_written_in_pieces_that_do_not_grow_with_the_model(dtype: str) -> None:
    params = np.random.default_rng(0).standard_normal(150_000).astype(dtype)
    large = checkpoint(candidates={3: params + 1.0})
    large = replace(large, rounds=replace(large.rounds, params=params))
    pieces = list(pieces_of(large))
    assert max(map(len, pieces)) <= 2**19
    content = b"".join(pieces)
    assert content == encode_checkpoint(large)
    np.testing.assert_array_equal(decode_checkpoint(content).rounds.params, params.astype(np.float64))
