"""What seeded simulations and surveys come to is what it always was.

Counts are equal, and other numbers to 1e-9 of their size: to the last bit they depend on the processor, on BLAS and on
NumPy, which add in an order of their own, so a hash of the parameters would hold on one machine only. Where numbers are
rounded to float32 on the way, one that lies between two of them may go either way, and only 1e-4 is asked.
`tools/compare_commits.py` compares two commits on one machine to the last bit.
"""

import pytest

from golden import outcomes, simulations, store, surveys

STORED = store.load("outcomes")
TOLERANCE = 1e-9
SINGLE_PRECISION_TOLERANCE = 1e-4


def test_the_outcome_of_every_simulation_and_survey_is_kept() -> None:
    assert list(STORED["simulations"]) == list(simulations.SIMULATIONS)
    assert list(STORED["surveys"]) == list(surveys.SURVEYS)


def assert_simulated(name: str) -> None:
    tolerance = SINGLE_PRECISION_TOLERANCE if simulations.is_of_single_precision(name) else TOLERANCE
    assert outcomes.differences(outcomes.record_simulation(name), STORED["simulations"][name], tolerance) == []


@pytest.mark.parametrize("name", simulations.WITHOUT_FAULTS)
def test_a_simulation_comes_to_the_same(name: str) -> None:
    assert_simulated(name)


@pytest.mark.parametrize("name", simulations.WITH_FAULTS)
def test_a_simulation_with_faults_comes_to_the_same(name: str) -> None:
    assert_simulated(name)


@pytest.mark.parametrize("name", surveys.SURVEYS)
def test_a_survey_finds_the_same_in_as_many_rounds(name: str) -> None:
    assert outcomes.differences(surveys.record(name), STORED["surveys"][name], TOLERANCE) == []
