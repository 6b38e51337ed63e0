"""Rounding keeps within its bound for numbers of any size; its bytes are read as what was rounded, or not at all."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.rounding import BLOCK, NOT_FINITE, Rounded, pack, rounded, unpack

EXPONENTS = (-1074, 1023)
"""The least and the largest of a float."""
NUMBERS_AT_ONCE = 2**16

FINENESS = [2.0**-7, 0.125, 0.2, 0.5]
SIZES = st.sampled_from([0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])


def vectors(bound: float | None = None) -> st.SearchStrategy[Array]:
    """Vectors of any numbers up to the bound, of any size."""
    numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=bound and -bound, max_value=bound)
    return arrays(np.float64, SIZES, elements=numbers)


def steps(vector: Rounded) -> Array:
    """Δ of each number."""
    every: Array = np.repeat(np.ldexp(1.0, vector.exponents), BLOCK)[: len(vector.multiples)]
    return every


@given(vectors(), st.sampled_from(FINENESS))
def test_a_number_is_off_by_half_a_step_at_most(vector: Array, fineness: float) -> None:
    found = rounded(vector, fineness)
    is_at_the_end = np.abs(vector) > 2.0**1023
    with np.errstate(under="ignore"):
        assert (np.abs(found.values() - vector) <= np.where(is_at_the_end, 1.0, 0.5) * steps(found)).all()


@given(st.integers(-1000, 1000), st.sampled_from(FINENESS), st.integers(0, 2**32 - 1))
def test_a_step_is_near_its_part_of_the_root_mean_square_of_its_block(power: int, fineness: float, seed: int) -> None:
    vector = np.random.default_rng(seed).uniform(-1.0, 1.0, 2 * BLOCK)
    found = rounded(np.ldexp(vector, power), fineness)
    for block, exponent in zip(vector.reshape(2, BLOCK), found.exponents, strict=True):
        ratio = 2.0 ** (float(exponent) - power) / np.sqrt(np.mean(np.square(block)))
        assert fineness / np.sqrt(2) < ratio <= fineness * np.sqrt(2)


def test_one_number_far_above_the_others_makes_the_step_larger_and_is_kept() -> None:
    vector = np.full(BLOCK, 1e-6)
    vector[7] = 1e6
    found = rounded(vector, 2.0**-20)
    np.testing.assert_allclose(found.values()[7], 1e6, rtol=2.0**-14)


@given(st.lists(vectors(), min_size=1, max_size=3), st.sampled_from(FINENESS))
def test_what_was_packed_is_unpacked_to_the_bit(several: list[Array], fineness: float) -> None:
    sent = [rounded(vector, fineness) for vector in several]
    for one, other in zip(sent, unpack(pack(sent), [len(vector) for vector in several]), strict=True):
        np.testing.assert_array_equal(one.multiples, other.multiples)
        np.testing.assert_array_equal(one.values(), other.values())


def test_normally_distributed_numbers_take_a_bit_less_than_five_at_an_eighth() -> None:
    vector = np.random.default_rng(0).standard_normal(100_000)
    n_bits = 8 * len(pack([rounded(vector, 0.125)])) / len(vector)
    assert n_bits < 1.03 * (np.log2(np.sqrt(2 * np.pi * np.e)) + 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_block_that_is_not_finite_is_nothing_to_its_sender_and_read_by_nobody(value: float) -> None:
    vector = np.ones(2 * BLOCK)
    vector[3] = value
    found = rounded(vector, 0.125)
    assert found.exponents[0] == NOT_FINITE
    np.testing.assert_array_equal(found.values(), np.repeat([0.0, 1.0], BLOCK))
    with pytest.raises(ProtocolError, match="not finite"):
        unpack(pack([found]), [2 * BLOCK])


@given(st.binary(max_size=200), SIZES)
def test_other_bytes_are_a_protocol_error(packed: bytes, n: int) -> None:
    try:
        (vector,) = unpack(packed, [n])
    except ProtocolError:
        return
    assert len(vector.multiples) == n


@pytest.mark.parametrize("change", [-10, 10])
def test_another_number_of_numbers_is_a_protocol_error(change: int) -> None:
    with pytest.raises(ProtocolError, match="another size"):
        unpack(pack([rounded(np.ones(600), 0.125)]), [600 + change])


@pytest.mark.parametrize("tail", [b"x", b"\0" * 10])
def test_bytes_after_the_end_are_a_protocol_error(tail: bytes) -> None:
    with pytest.raises(ProtocolError):
        unpack(pack([rounded(np.ones(300), 0.125)]) + tail, [300])


@pytest.mark.parametrize("filling", [b"\0", b"\xff"])
def test_a_bomb_takes_no_more_memory_than_the_numbers_that_are_expected(filling: bytes) -> None:
    bomb = bytes([0]) + filling * 2**24
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="another size"):
            unpack(bomb, [1000])
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_number_beyond_16_bits_is_a_protocol_error() -> None:
    too_large = np.packbits([0, 1, *16 * [0]]).tobytes()
    with pytest.raises(ProtocolError, match="too large"):
        unpack(bytes([16]) + too_large, [1])


def test_small_vectors_take_hardly_more_than_large_ones() -> None:
    """No table is sent along."""
    vector = np.random.default_rng(0).standard_normal(4 * BLOCK)
    sizes = {
        n: len(pack([rounded(vector[start : start + n], 0.125) for start in range(0, len(vector), n)]))
        for n in (BLOCK, len(vector))
    }
    assert sizes[BLOCK] <= sizes[4 * BLOCK] + 16


def test_the_bytes_of_a_vector_are_what_they_were_in_every_release() -> None:
    """257 numbers take two exponents. With k = 2, the exponent 3 is 01 10; of 0, 1, −1, 2, 8, as 0, 2, 1, 4, 16, the
    quotients are 1 1 1 01 00001, and the rests behind them 00 10 01 00 00.
    """
    alternating = np.resize([1.0, -1.0], 257)
    found = rounded(alternating, 0.5)
    assert found.exponents.tolist() == [-1, -1]
    assert found.multiples.tolist() == np.resize([2, -2], 257).tolist()
    packed = pack([Rounded(np.array([0, 1, -1, 2, 8], dtype=np.int16), np.array([3], dtype=np.int16))])
    assert packed.hex(" ") == "02 60 02 e8 49 00"


@pytest.mark.parametrize("excess", [-1, 0, 1, NUMBERS_AT_ONCE])
def test_numbers_are_packed_65536_at_a_time(excess: int) -> None:
    """Zeros take a bit each, behind a byte for each time."""
    n = NUMBERS_AT_ONCE + excess
    n_times = -(-n // NUMBERS_AT_ONCE)
    multiples = Rounded(np.zeros(n, dtype=np.int16), np.zeros(-(-n // BLOCK), dtype=np.int16))
    n_bytes_of_exponents = 1 + -(-len(multiples.exponents) // 8)
    full, rest = divmod(n, NUMBERS_AT_ONCE)
    n_bytes_of_numbers = n_times + full * NUMBERS_AT_ONCE // 8 + -(-rest // 8)
    assert len(pack([multiples])) == n_bytes_of_exponents + n_bytes_of_numbers


def test_a_number_beside_much_smaller_ones_takes_fourteen_bits() -> None:
    vector = np.zeros(BLOCK)
    vector[0] = 1.0
    found = rounded(vector, 2.0**-30)
    assert found.multiples[0] == 2**13  # as 1 is the least number with its exponent
    assert found.values()[0] == 1.0


def test_what_is_zero_has_the_least_step_and_what_is_not_finite_has_a_mark() -> None:
    vector = np.repeat([0.0, np.inf, 5e-324], BLOCK)
    assert rounded(vector, 0.5).exponents.tolist() == [EXPONENTS[0], 2**15 - 1, EXPONENTS[0]]


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_steps_are_powers_of_two_that_a_float_can_be(exponent: int) -> None:
    outwards = 1 if exponent > 0 else -1
    at_the_end, beyond = (
        pack([Rounded(np.ones(2, dtype=np.int16), np.array([each], dtype=np.int16))])
        for each in (exponent, exponent + outwards)
    )
    (found,) = unpack(at_the_end, [2])
    assert found.values().tolist() == [2.0**exponent] * 2
    with pytest.raises(ProtocolError, match="not finite"):
        unpack(beyond, [2])


@pytest.mark.parametrize("n", range(1, 40))
def test_numbers_of_16_bits_take_17_each_and_no_byte_of_them_can_be_missing(n: int) -> None:
    vector = Rounded(np.full(n, -(2**15), dtype=np.int16), np.zeros(-(-n // BLOCK), dtype=np.int16))
    packed = pack([vector])
    n_bytes_of_exponents = 2
    assert len(packed) == n_bytes_of_exponents + 1 + -(-17 * n // 8)
    assert unpack(packed, [n])[0].multiples.tolist() == vector.multiples.tolist()
    with pytest.raises(ProtocolError):
        unpack(packed[:-1], [n])


@pytest.mark.parametrize("n", range(1, 40))
def test_a_missing_byte_of_rests_is_an_error(n: int) -> None:
    """Numbers whose code ends with a rest, a bit of which may be all that the last byte has."""
    for multiple in (1, 5, 100):
        packed = pack([Rounded(np.full(n, multiple, dtype=np.int16), np.zeros(-(-n // BLOCK), dtype=np.int16))])
        with pytest.raises(ProtocolError):
            unpack(packed[:-1], [n])


def test_the_shortest_code_is_chosen() -> None:
    """Of n numbers with k low bits each apart it takes n (1 + k) bits, and one more for each 2^k in them."""
    for multiple in (0, 1, 3, 10, 1000):
        zigzag, n = 2 * multiple, 64
        best = min(n * (1 + k) + n * (zigzag >> k) for k in range(17))
        packed = pack([Rounded(np.full(n, multiple, dtype=np.int16), np.zeros(1, dtype=np.int16))])
        assert len(packed) == 2 + 1 + -(-best // 8)
