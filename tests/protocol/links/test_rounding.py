"""Rounding keeps within its bound for numbers of any size; its bytes are read as what was rounded, or not at all."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.types import Array
from p2pnet.protocol.links.rounding import (
    BLOCK,
    NOT_FINITE,
    Rounded,
    exponents_of,
    pack,
    pack_lists,
    rounded,
    unpack,
    unpack_lists,
    with_zeros,
    zeros_left_out,
)

EXPONENTS = (-1074, 1023)
"""The least and the largest of a float."""
NUMBERS_AT_ONCE = 2**16

FINENESS = [2.0**-7, 0.125, 0.2, 0.5]
SIZES = st.sampled_from([0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])


def vectors(bound: float | None = None) -> st.SearchStrategy[Array]:
    """Vectors of any numbers up to the bound, of any size."""
    numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=bound and -bound, max_value=bound)
    return arrays(np.float64, SIZES, elements=numbers)


def rounded_alone(vector: Array, fineness: float) -> Rounded:
    return rounded([vector], [fineness])[0]


def steps(vector: Rounded) -> Array:
    """Δ of each number."""
    every: Array = np.repeat(np.ldexp(1.0, vector.exponents), BLOCK)[: len(vector.multiples)]
    return every


@given(vectors(), st.sampled_from(FINENESS))
def test_a_number_is_off_by_half_a_step_at_most(vector: Array, fineness: float) -> None:
    found = rounded_alone(vector, fineness)
    is_at_the_end = np.abs(vector) > 2.0**1023
    with np.errstate(under="ignore"):
        assert (np.abs(found.values() - vector) <= np.where(is_at_the_end, 1.0, 0.5) * steps(found)).all()


@given(st.integers(-1000, 1000), st.sampled_from(FINENESS), st.integers(0, 2**32 - 1))
def test_a_step_is_near_its_part_of_the_root_mean_square_of_its_block(power: int, fineness: float, seed: int) -> None:
    vector = np.random.default_rng(seed).uniform(-1.0, 1.0, 2 * BLOCK)
    found = rounded_alone(np.ldexp(vector, power), fineness)
    for block, exponent in zip(vector.reshape(2, BLOCK), found.exponents, strict=True):
        ratio = 2.0 ** (float(exponent) - power) / np.sqrt(np.mean(np.square(block)))
        assert fineness / np.sqrt(2) < ratio <= fineness * np.sqrt(2)


def test_one_number_far_above_the_others_makes_the_step_larger_and_is_kept() -> None:
    vector = np.full(BLOCK, 1e-6)
    vector[7] = 1e6
    found = rounded_alone(vector, 2.0**-20)
    np.testing.assert_allclose(found.values()[7], 1e6, rtol=2.0**-14)


@given(st.lists(vectors(), min_size=1, max_size=3), st.sampled_from(FINENESS))
def test_what_was_packed_is_unpacked_to_the_bit(several: list[Array], fineness: float) -> None:
    sent = rounded(several, [fineness] * len(several))
    for one, other in zip(sent, unpack(pack(sent), [len(vector) for vector in several]), strict=True):
        np.testing.assert_array_equal(one.multiples, other.multiples)
        np.testing.assert_array_equal(one.values(), other.values())


@pytest.mark.parametrize("fineness", [0.3, 0.177, 2.0**-5])
def test_the_code_is_as_short_as_with_the_best_number_of_bits_that_are_sent_as_they_are(fineness: float) -> None:
    vector = rounded_alone(np.random.default_rng(0).standard_normal(4096), fineness)
    zigzag = np.where(vector.multiples < 0, -2 * vector.multiples - 1, 2 * vector.multiples).astype(int)
    n_bits = min(len(zigzag) * (1 + k) + int((zigzag >> k).sum()) for k in range(16))
    assert 8 * len(pack([vector])) < 1.01 * n_bits + 100


def test_vectors_are_rounded_together_as_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    several, finenesses = [rng.standard_normal(n) * 10.0**n for n in (300, 1, 0, 256)], [0.125, 0.2, 0.3, 0.5]
    for one, vector, fineness in zip(rounded(several, finenesses), several, finenesses, strict=True):
        np.testing.assert_array_equal(one.values(), rounded_alone(vector, fineness).values())


def test_normally_distributed_numbers_take_a_bit_less_than_five_at_an_eighth() -> None:
    vector = np.random.default_rng(0).standard_normal(100_000)
    n_bits = 8 * len(pack(rounded([vector], [0.125]))) / len(vector)
    assert n_bits < 1.03 * (np.log2(np.sqrt(2 * np.pi * np.e)) + 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_block_that_is_not_finite_is_nothing_to_its_sender_and_read_by_nobody(value: float) -> None:
    vector = np.ones(2 * BLOCK)
    vector[3] = value
    found = rounded_alone(vector, 0.125)
    assert found.exponents[0] == NOT_FINITE
    assert not found.multiples[:BLOCK].any()
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
        unpack(pack(rounded([np.ones(600)], [0.125])), [600 + change])


@pytest.mark.parametrize("tail", [b"x", b"\0" * 10])
def test_bytes_after_the_end_are_a_protocol_error(tail: bytes) -> None:
    with pytest.raises(ProtocolError):
        unpack(pack(rounded([np.ones(300)], [0.125])) + tail, [300])


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
    exponent_and_multiple = np.packbits([1, 0, 0, 1]).tobytes()
    with pytest.raises(ProtocolError, match="too large"):
        unpack(bytes([15]) + bytes(15) + exponent_and_multiple, [1])


def test_small_vectors_take_hardly_more_than_large_ones() -> None:
    """No table is sent along."""
    vector = np.random.default_rng(0).standard_normal(4 * BLOCK)
    n_bytes = [len(pack([rounded_alone(part, 0.125)])) for part in np.split(vector, 4)]
    assert sum(n_bytes) <= len(pack([rounded_alone(vector, 0.125)])) + 16


def test_the_bytes_of_a_vector_are_what_they_were_in_every_release() -> None:
    """The numbers 3, 0, 1, −1, 2, 8 travel as 6, 0, 2, 1, 4, 16. With k = 2 their lowest bits are 0 0 0 1 0 0, the next
    ones 1 0 1 0 0 0, and the quotients 01 1 1 1 01 00001.
    """
    alternating = np.resize([1.0, -1.0], 257)
    found = rounded_alone(alternating, 0.5)
    assert found.exponents.tolist() == [-1, -1]
    assert found.multiples.tolist() == np.resize([2, -2], 257).tolist()
    packed = pack([Rounded(np.array([0, 1, -1, 2, 8], dtype=np.int16), np.array([3], dtype=np.int16))])
    assert packed.hex(" ") == "02 10 a0 7a 10"


@pytest.mark.parametrize("excess", [-1, 0, 1, NUMBERS_AT_ONCE])
def test_numbers_are_packed_65536_at_a_time(excess: int) -> None:
    """Zeros take a bit each, behind a byte for each time."""
    n_blocks = -(-(NUMBERS_AT_ONCE + excess) // (BLOCK + 1))
    n = NUMBERS_AT_ONCE + excess - n_blocks
    multiples = Rounded(np.zeros(n, dtype=np.int16), np.zeros(n_blocks, dtype=np.int16))
    n_full, n_rest = divmod(n + n_blocks, NUMBERS_AT_ONCE)
    n_bytes = n_full * (1 + NUMBERS_AT_ONCE // 8) + (1 + -(-n_rest // 8) if n_rest else 0)
    assert len(pack([multiples])) == n_bytes


def test_a_number_beside_much_smaller_ones_takes_fourteen_bits() -> None:
    vector = np.zeros(BLOCK)
    vector[0] = 1.0
    found = rounded_alone(vector, 2.0**-30)
    assert found.multiples[0] == 2**13  # as 1 is the least number with its exponent
    assert found.values()[0] == 1.0


def test_what_is_zero_has_no_exponent_and_what_is_not_finite_has_a_mark() -> None:
    vector = np.repeat([0.0, np.inf, 5e-324], BLOCK)
    assert rounded_alone(vector, 0.5).exponents.tolist() == [0, 2**15 - 1, EXPONENTS[0]]


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


@pytest.mark.parametrize("multiple", [-(2**15), 2**14, 1000, 100, 5, 1, 0])
def test_no_byte_of_a_code_can_be_missing(multiple: int) -> None:
    for n in range(1, 40):
        vector = Rounded(np.full(n, multiple, dtype=np.int16), np.zeros(1, dtype=np.int16))
        packed = pack([vector])
        assert unpack(packed, [n])[0].multiples.tolist() == vector.multiples.tolist()
        for n_bytes in range(len(packed)):
            with pytest.raises(ProtocolError):
                unpack(packed[:n_bytes], [n])


def test_a_k_of_all_sixteen_bits_is_a_protocol_error() -> None:
    """It leaves nothing for a quotient to say."""
    with pytest.raises(ProtocolError, match="not the code of 2 numbers"):
        unpack(bytes([16]) + bytes(16) + np.packbits([1, 1]).tobytes(), [1])


@pytest.mark.parametrize(("n_zeros", "is_read"), [(16, True), (17, False)])
def test_quotients_take_three_bits_a_number_at_most(n_zeros: int, is_read: bool) -> None:
    """As they do with the k that is chosen by the mean; of eight numbers here all but the last are zero."""
    code = bytes([0]) + np.packbits([1] * 7 + [0] * n_zeros + [1]).tobytes()
    if is_read:
        assert unpack_lists(code, [8])[0].tolist() == [0] * 7 + [n_zeros // 2]
        return
    with pytest.raises(ProtocolError, match="not the code of 8 numbers"):
        unpack_lists(code, [8])


# Least steps.


def test_steps_are_no_smaller_than_those_of_the_least_exponents_of_all_blocks_in_turn() -> None:
    several = [np.full(BLOCK + 1, 1.0), np.full(2, 8.0)]
    free = [each.exponents.tolist() for each in rounded(several, [0.25, 0.25])]
    assert free == [[-2, -2], [1]]
    bounded = rounded(several, [0.25, 0.25], np.array([-3, 2, 5], dtype=np.int16))
    assert [each.exponents.tolist() for each in bounded] == [[-2, 2], [5]]
    assert [each.values()[-1] for each in bounded] == [0.0, 0.0]


def test_a_least_step_is_the_power_of_two_below_a_part_of_the_root_mean_square_of_a_whole_block() -> None:
    """Whose last numbers may be missing; of zeros, and of what cannot be squared, it is the least there is."""
    vector = np.concatenate([np.full(BLOCK, 3.0), np.zeros(BLOCK), np.full(BLOCK, 1e200), np.full(BLOCK // 4, 8.0)])
    assert exponents_of(vector, 1.0).tolist() == [1, EXPONENTS[0], EXPONENTS[0], 2]
    assert exponents_of(vector, 0.25).tolist() == [-1, EXPONENTS[0], EXPONENTS[0], 0]
    assert exponents_of(np.zeros(0), 1.0).size == 0


# Lists, and zeros that are left out.


whole_numbers = st.integers(-(2**14), 2**14 - 1) | st.just(0)


def list_of(*numbers: int) -> NDArray[np.int16]:
    return np.array(numbers, dtype=np.int16)


@given(st.lists(st.lists(whole_numbers, max_size=40), max_size=4))
def test_lists_come_back_one_after_the_other(lists: list[list[int]]) -> None:
    packed = pack_lists([list_of(*each) for each in lists])
    assert [each.tolist() for each in unpack_lists(packed, [len(each) for each in lists])] == lists
    with pytest.raises(ProtocolError, match="1 bytes too many"):
        unpack_lists(packed + b"\0", [len(each) for each in lists])


@pytest.mark.parametrize("excess", [-1, 0, 1, NUMBERS_AT_ONCE])
def test_lists_have_a_byte_of_their_own_for_every_65536_numbers(excess: int) -> None:
    """Zeros take a bit each behind it."""
    lengths = [3, NUMBERS_AT_ONCE + excess]
    n_full, n_rest = divmod(lengths[1], NUMBERS_AT_ONCE)
    n_bytes = 2 + n_full * (1 + NUMBERS_AT_ONCE // 8) + (1 + -(-n_rest // 8) if n_rest else 0)
    assert len(pack_lists([np.zeros(n, dtype=np.int16) for n in lengths])) == n_bytes
    numbers = [np.arange(n).astype(np.int16) % 100 for n in lengths]
    for one, other in zip(unpack_lists(pack_lists(numbers), lengths), numbers, strict=True):
        np.testing.assert_array_equal(one, other)


def test_left_out_are_the_zeros_before_each_other_number_and_those_behind_the_last() -> None:
    """Two, none and one are told as 1, 0 and −1, as they take least; 3, −1 and 1 as 2, −1 and 0, since none is zero."""
    zeros, kept = zeros_left_out(list_of(0, 0, 3, -1, 0, 1, 0))
    assert (zeros.tolist(), kept.tolist()) == ([1, 0, -1], [2, -1, 0])
    assert with_zeros(zeros, kept, 7).tolist() == [0, 0, 3, -1, 0, 1, 0]


@given(st.lists(whole_numbers, max_size=300))
def test_numbers_without_their_zeros_come_back(numbers: list[int]) -> None:
    vector = list_of(*numbers)
    zeros, kept = zeros_left_out(vector)
    lists = unpack_lists(pack_lists([zeros, kept]), [len(zeros), len(kept)])
    np.testing.assert_array_equal(with_zeros(lists[0], lists[1], len(vector)), vector)


def test_as_many_zeros_may_be_in_a_row_as_sixteen_bits_can_count() -> None:
    for n_zeros in (2**15 - 1, 2**15):
        vector = np.zeros(n_zeros + 1, dtype=np.int16)
        vector[-1] = 7
        np.testing.assert_array_equal(with_zeros(*zeros_left_out(vector), len(vector)), vector)


def test_a_number_behind_the_last_is_refused() -> None:
    zeros, kept = zeros_left_out(list_of(3, 0, 3))
    assert with_zeros(zeros, kept, 3).tolist() == [3, 0, 3]
    for n in (2, 1):
        with pytest.raises(ProtocolError, match="behind the last"):
            with_zeros(zeros, kept, n)
