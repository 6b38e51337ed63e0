"""Whatever bytes come from elsewhere, the answer is a value or an error of p2pnet's own.

The corpus is what fuzzing began with and what it has found; around each of its inputs more are tried.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzing.targets import CORPUS, TARGETS, bytes_of, frames_of, seeds

SEEDS = [(name, seed) for name in TARGETS for seed in seeds(name)]


@pytest.mark.parametrize(("name", "seed"), SEEDS, ids=[f"{name}/{seed.name}" for name, seed in SEEDS])
def test_every_input_of_the_corpus_is_answered(name: str, seed: Path) -> None:
    TARGETS[name](seed.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(data=st.data())
def test_inputs_near_the_corpus_are_answered(name: str, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(seeds(name))).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(content) - 1, 0)))
        end = place + data.draw(st.integers(0, 8))
        content[place:end] = data.draw(st.binary(max_size=8))
    TARGETS[name](bytes(content))


def test_every_target_has_a_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=16))
def test_frames_are_made_of_bytes_and_bytes_of_frames(frames: list[bytes]) -> None:
    assert frames_of(bytes_of(frames)) == frames
