"""What a share tells of curvature, byte by byte, each with its numbers at the edge.

A code is a bit for each block of H, the bytes of a coefficient, the coefficients, how many multiples are not zero, and
the lists of exponents, of the multiples of v, and of those of the blocks that are told.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.coding import NO_CURVATURE, CurvatureTold, Replica
from p2pnet.protocol.links.curvature import curvature_told, n_curvature, read_share
from p2pnet.protocol.links.rounding import BLOCK, pack_lists
from p2pnet.protocol.messages.training import Share
from tests.protocol.links.shares import shares

ALL = 2**32 - 1
"""Stands for the number of multiples that are not zero where zeros are told, too."""


def nothing(n: int) -> Replica:
    return Replica(np.zeros(n + 2), np.zeros(n))


def told(
    linear: Sequence[float] | Array,
    upper: Sequence[float] | Array,
    params: Sequence[float] | Array,
    base: Replica | None = None,
    *,
    mass: Array | None = None,
    other: Replica | None = None,
) -> tuple[bytes, CurvatureTold]:
    """The code of c and H, and what its reader makes of it, which is what its sender does. Nothing of `mass` is so
    large that steps are no smaller for it.
    """
    n, total = len(params), np.array([*linear, *upper])
    kept = np.zeros(len(total)) if mass is None else mass
    base = base or nothing(n)
    code, curvature = curvature_told(total, np.array(params), kept, base, other)
    heard = read_share(share_with(code.tobytes(), params), base, other).curvature
    np.testing.assert_array_equal(heard.total, curvature.total)
    np.testing.assert_array_equal(heard.flow, curvature.flow)
    assert len(heard.before) == len(curvature.before)
    return code.tobytes(), curvature


def share_with(code: bytes, params: Sequence[float] | Array, precision: int = 32) -> Share:
    n, (share,) = len(params), shares(precision, 0)
    total, of_params = np.zeros(n + 2, dtype=np.float32), np.array(params, dtype=np.float32)
    return replace(share, total=total, params=of_params, curvature=np.frombuffer(code, dtype=np.uint8))


def forged(exponents: Sequence[int], values: Sequence[int], lists: Sequence[Sequence[int]], n_kept: int = ALL) -> bytes:
    """A code from nothing for two parameters, of whose H the one block is told."""
    numbers = [np.array(each, dtype=np.int16) for each in (exponents, values, *lists)]
    return bytes([0x80, 8]) + n_kept.to_bytes(4, "little") + pack_lists(numbers)


def heard(code: bytes, n: int = 2) -> CurvatureTold:
    return read_share(share_with(code, np.ones(n)), nothing(n), None).curvature


@pytest.mark.parametrize(("n_params", "expected"), [(0, 0), (1, 2), (2, 5), (3, 9), (100, 5150)])
def test_a_vector_and_an_upper_triangle_are_tracked(n_params: int, expected: int) -> None:
    assert n_curvature(n_params) == expected


# Steps.


def test_the_value_at_the_parameters_is_rounded_to_a_128th_of_its_root_mean_square() -> None:
    """Which is that of −c here, since there is no H."""
    _, curvature = told([1.0, 1.0 + 1.375 * 2.0**-7], np.zeros(3), [5.0, 7.0])
    assert curvature.total.tolist() == [1.0, 1.0 + 2.0**-7, 0.0, 0.0, 0.0]


def test_h_is_told_in_quarters_of_its_root_mean_square_and_the_value_at_the_parameters_is_right_all_the_same() -> None:
    upper, params = np.array([1.0, 1.0, 1.0 + 1.375 / 4]), np.array([2.0, 3.0])
    gradient = np.array([0.5, -0.5])
    matrix = np.array([[upper[0], upper[1]], [upper[1], upper[2]]])
    _, curvature = told(matrix @ params - gradient, upper, params)
    assert curvature.total[2:].tolist() == [1.0, 1.0, 1.25]
    read = np.array([[1.0, 1.0], [1.0, 1.25]])
    assert (read @ params - curvature.total[:2]).tolist() == gradient.tolist()


def test_h_is_rounded_to_no_less_than_a_part_of_what_the_sender_has_of_it() -> None:
    """A 128th of the root mean square of its block, of 256 numbers."""
    mass = np.array([0.0, 0.0, 16.0, 0.0, 0.0])
    upper = np.array([1.375, 1.0, 1.0]) * 2.0**-7
    assert (told([0.0, 0.0], upper, [0.0, 0.0], mass=mass)[1].total[2:] * 2**7).tolist() == [1.0, 1.0, 1.0]
    assert (told([0.0, 0.0], upper, [0.0, 0.0])[1].total[2:] * 2**7).tolist() == [1.5, 1.0, 1.0]


# What is left out.


@pytest.mark.parametrize(("n_nonzero", "n_kept"), [(1, 1), (2, 2), (3, ALL), (6, ALL)])
def test_zeros_are_left_out_where_fewer_than_half_of_the_numbers_are_others(n_nonzero: int, n_kept: int) -> None:
    upper = [1.0] * n_nonzero + [0.0] * (6 - n_nonzero)
    code, curvature = told([0.0] * 3, upper, np.zeros(3))
    assert code[:2] == bytes([0x80, 8])
    assert int.from_bytes(code[2:6], "little") == n_kept
    assert curvature.total[3:].tolist() == upper


def test_blocks_of_zeros_are_not_told_and_those_of_one_other_number_are() -> None:
    n, upper = 40, np.zeros(n_curvature(40) - 40)
    assert told(np.zeros(n), upper, np.zeros(n))[0][0] == 0
    upper[BLOCK + 7] = upper[3 * BLOCK : 3 * BLOCK + 3] = 1.0
    code, curvature = told(np.zeros(n), upper, np.zeros(n))
    assert code[0] == 0b01010000
    assert curvature.total[n:].tolist() == upper.tolist()


@pytest.mark.parametrize("n", [1, 2, 22, 23, 63, 64])
def test_models_of_any_size_are_read_as_they_are_told(n: int) -> None:
    """Of one block or of eight, which are a byte of flags, or of one more."""
    rng = np.random.default_rng(n)
    upper, params = rng.standard_normal(n_curvature(n) - n), rng.standard_normal(n).astype(np.float32)
    code, curvature = told(rng.standard_normal(n), upper, params.astype(np.float64))
    n_blocks = -(-len(upper) // BLOCK)
    assert np.unpackbits(np.frombuffer(code, dtype=np.uint8, count=-(-n_blocks // 8))).sum() == n_blocks
    np.testing.assert_allclose(curvature.total[n:], upper, atol=0.2)


# Bases and predictions.


def test_where_a_share_says_nothing_of_curvature_it_is_that_of_its_base_and_of_whole_totals_nothing() -> None:
    _, curvature = told([1.0, 2.0], [1.0, 0.0, 1.0], [0.0, 0.0])
    base = replace(nothing(2), curvature=curvature)
    assert read_share(share_with(b"", [0.0, 0.0]), base, None).curvature is curvature
    assert read_share(share_with(b"", [0.0, 0.0]), nothing(2), None).curvature is NO_CURVATURE
    assert read_share(share_with(b"", [0.0, 0.0], precision=64), base, None).curvature is NO_CURVATURE


def test_as_long_as_nothing_is_tracked_nothing_is_told_and_nothing_changes() -> None:
    code, curvature = curvature_told(np.zeros(0), np.zeros(2), np.zeros(0), nothing(2), None)
    assert code.tolist() == []
    assert curvature is NO_CURVATURE


def test_the_flow_is_a_slow_mean_of_changes() -> None:
    base, upper, flow = nothing(2), np.zeros(3), np.zeros(0)
    for number, change in enumerate(([4.0, 0.0, 4.0], [8.0, 0.0, -4.0], [0.0, 4.0, 4.0])):
        before = upper
        _, curvature = told([0.0, 0.0], before + change, [0.0, 0.0], base)
        upper = curvature.total[2:]
        flow = upper - before if number == 0 else flow + 0.1 * (upper - before - flow)
        np.testing.assert_allclose(curvature.flow, flow, rtol=1e-12, atol=1e-12)
        base = replace(nothing(2), curvature=curvature)


def coefficients(code: bytes, n: int) -> list[float]:
    """Of a code that has one byte of flags."""
    wire_type = {2: "<f2", 4: "<f4", 8: "<f8"}[code[1]]
    found = np.frombuffer(code[2 : 2 + n * code[1]], dtype=wire_type)
    return [float(each) for each in found.round(2)]


def after(changes: Sequence[Sequence[float]], n: int) -> Replica:
    """A replica of which H was told with these changes."""
    base, upper = nothing(n), np.zeros(n_curvature(n) - n)
    for change in changes:
        _, curvature = told(np.zeros(n), upper + change, np.zeros(n), base)
        upper = curvature.total[n:]
        base = replace(nothing(n), curvature=curvature)
    return base


def test_what_is_told_is_predicted_from_flow_and_changes_and_from_the_flow_of_the_other_end() -> None:
    """The coefficients stand in that order."""
    base = after([[8.0, 0, 0, 0, 0, 0], [0, 8.0, 0, 0, 0, 0], [0, 0, 8.0, 0, 0, 0]], 3)
    other = after([[0, 0, 0, 8.0, 8.0, 0]], 3)
    curvature = base.curvature
    last, *earlier = (total[3:] for total in (curvature.total, *curvature.before))
    predictors = [curvature.flow, last - earlier[0], earlier[0] - earlier[1], other.curvature.flow]
    for place, predictor in enumerate(predictors):
        code, answer = told(np.zeros(3), last + 0.5 * predictor, np.zeros(3), base, other=other)
        assert coefficients(code, 4) == [0.5 * (place == k) for k in range(4)]
        np.testing.assert_allclose(answer.total[3:], last + 0.5 * predictor, atol=1e-2)


def test_an_end_that_has_told_nothing_predicts_nothing() -> None:
    base = after([[8.0, 0, 0]], 2)
    alone, beside = (told([0.0] * 2, [9.0, 1.0, 1.0], [0.0] * 2, base, other=each)[0] for each in (None, nothing(2)))
    assert alone == beside


# What is refused.


@pytest.mark.parametrize("n_bytes", [1, 39, 41, 45])
def test_a_whole_total_has_eight_bytes_a_number(n_bytes: int) -> None:
    share = share_with(bytes(n_bytes), [0.0, 0.0], precision=64)
    with pytest.raises(ProtocolError, match=f"^Share.curvature: {n_bytes} bytes instead of 40$"):
        read_share(share, nothing(2), None)


def test_a_whole_total_is_read_as_it_stands_and_may_hold_only_finite_numbers() -> None:
    total = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    share = share_with(total.tobytes(), [0.0, 0.0], precision=64)
    assert read_share(share, nothing(2), None).curvature.total.tolist() == total.tolist()
    total[3] = np.inf
    with pytest.raises(ProtocolError, match="not finite"):
        read_share(share_with(total.tobytes(), [0.0, 0.0], precision=64), nothing(2), None)


@pytest.mark.parametrize("exponent", [-1074, 1023])
@pytest.mark.parametrize("place", ["of v", "of H"])
def test_steps_are_powers_of_two_that_a_float_can_be(exponent: int, place: str) -> None:
    is_of_v = place == "of v"
    values, upper = ([1, 0], [0, 0, 0]) if is_of_v else ([0, 0], [1, 0, 0])
    for beyond in (0, 1 if exponent > 0 else -1):
        exponents = [exponent + beyond, 0] if is_of_v else [0, exponent + beyond]
        code = forged(exponents, values, [upper])
        if beyond:
            with pytest.raises(ProtocolError, match="not finite"):
                heard(code)
        else:
            assert np.abs(heard(code).total).max() == 2.0**exponent


def test_of_all_numbers_as_many_may_be_told_as_there_are() -> None:
    nowhere = [0, 0, 0]  # zeros before each of them
    kept = [0, 1, -2]  # of 1, 2 and −2
    assert heard(forged([0, 0], [0, 0], [nowhere, kept], 3)).total[2:].tolist() == [1.0, 2.0, -2.0]
    with pytest.raises(ProtocolError, match=r"^Share.curvature: 4 numbers of 3$"):
        heard(forged([0, 0], [0, 0], [[*nowhere, 0], [*kept, 0]], 4))


def test_errors_of_the_lists_name_the_field() -> None:
    with pytest.raises(ProtocolError, match=r"^Share.curvature: .*behind the last"):
        heard(forged([0, 0], [0, 0], [[3, 0], [0, 0]], 2))
    with pytest.raises(ProtocolError, match=r"^Share.curvature: "):
        heard(forged([0, 0], [0, 0], [[0, 0, 0]]) + b"\0")
