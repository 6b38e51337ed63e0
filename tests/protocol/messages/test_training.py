"""Messages survive the wire unchanged, and nothing that arrives on it does more harm than a ProtocolError."""

from contextlib import suppress
from dataclasses import fields
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from p2pnet.errors import ProtocolError
from p2pnet.protocol.core.codec import MAX_HEADER_BYTES, PROTOCOL_VERSION, SPOKEN_VERSIONS, ForeignVersionError
from p2pnet.protocol.core.types import Array, LinkId, Message, Nonce, VersionRange
from p2pnet.protocol.messages.training import (
    KINDS,
    MAX_FIELDS,
    MAX_LABELS,
    MAX_TEXT_LENGTH,
    Ack,
    Hello,
    LabelSet,
    Refuse,
    Share,
    StateReply,
    TrainingMessage,
)
from p2pnet.protocol.messages.wire import decode, encode

counts = st.integers(0, 2**62 - 1)
nonces = st.builds(Nonce, counts, counts)
texts = st.text(max_size=40)
maps = st.dictionaries(texts, texts, max_size=5)
vectors = arrays(np.float64, st.integers(0, 20), elements=st.floats(allow_nan=False, allow_infinity=False))

FIELD_STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "Nonce": nonces,
    "Nonce | None": st.none() | nonces,
    "LinkId": st.builds(LinkId, nonces, nonces),
    "Mapping[str, str]": maps,
    "str": texts,
    "tuple[str, ...]": st.lists(texts, max_size=5, unique=True).map(tuple),
    "tuple[PeerId, ...]": st.lists(texts, min_size=1, max_size=5).map(tuple),
    "VersionRange": st.tuples(counts, counts).map(lambda pair: VersionRange(*sorted(pair))),
    "bool": st.booleans(),
    "int": counts,
    "int | None": st.none() | counts,
    "precision": st.just(64),
    "float": st.floats(0, 1e300),
    "float | None": st.none() | st.floats(0, 1e300),
    "Array": vectors,
    "WireArray": vectors,
    "NDArray[np.uint8]": arrays(np.uint8, st.integers(0, 20)),
}


def messages_of(kind: Any) -> st.SearchStrategy[Any]:
    return st.builds(
        kind, **{f.name: FIELD_STRATEGIES.get(f.name, FIELD_STRATEGIES[str(f.type)]) for f in fields(kind)}
    )


any_message = st.one_of([messages_of(kind) for kind in KINDS.values()])


def as_received(message: Message) -> list[bytes]:
    """The frames as a socket hands them over."""
    return [bytes(frame) for frame in encode(message)]


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    for f in fields(one):
        np.testing.assert_array_equal(getattr(one, f.name), getattr(other, f.name), err_msg=f.name)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_every_kind_of_message_survives_the_wire(kind: type[Message]) -> None:
    @given(messages_of(kind))
    def survives(message: Message) -> None:
        assert_same(decode(as_received(message)), message)

    survives()


def test_arrays_are_not_in_the_header_and_lose_no_bit() -> None:
    params = np.array([1 / 3, -0.0, 5e-324, 1.7976931348623157e308])
    header, frame = encode(StateReply(LinkId(Nonce(1, 2), Nonce(3, 4)), 7, -1, params))
    assert len(header) < 20
    assert bytes(frame) == params.astype("<f8").tobytes()


def test_a_share_without_curvature_has_no_frame_for_it() -> None:
    def share(curvature: bytes) -> Share:
        nothing, code = np.zeros(0), np.frombuffer(curvature, dtype=np.uint8)
        link_id = LinkId(Nonce(1, 2), Nonce(3, 4))
        return Share(link_id, 1, 0, 0, 64, 0, 1, 1.0, 1.0, 0, -1, False, nothing, nothing, curvature=code)

    assert [len(encode(share(curvature))) for curvature in (b"", b"some")] == [3, 4]
    with pytest.raises(ProtocolError, match="3 array frames instead of 2"):
        decode([*as_received(share(b"")), b""])


def test_a_decoded_array_cannot_be_changed() -> None:
    state = decode(as_received(StateReply(LinkId(Nonce(1, 2), Nonce(3, 4)), 7, -1, np.zeros(3))))
    assert isinstance(state, StateReply)
    with pytest.raises(ValueError, match="read-only"):
        state.params[0] = 1.0


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_arbitrary_frames_are_a_protocol_error_at_worst(frames: list[bytes]) -> None:
    with suppress(ProtocolError):
        decode(frames)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | texts | st.binary(max_size=10),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=3),
    ),
    st.sampled_from(sorted(KINDS)),
    st.lists(st.binary(max_size=24), max_size=2),
)
def test_well_formed_msgpack_with_anything_in_it_is_a_protocol_error_at_worst(
    content: object, kind: int, array_frames: list[bytes]
) -> None:
    header = [PROTOCOL_VERSION, kind, *(content if isinstance(content, list) else [content])]
    with suppress(ProtocolError):
        decode([msgpack.packb(header), *array_frames])


@given(any_message, st.data())
def test_a_message_with_one_byte_changed_is_read_or_refused(message: Message, data: st.DataObject) -> None:
    frames = [bytearray(frame) for frame in as_received(message)]
    frame = data.draw(st.sampled_from([frame for frame in frames if frame]))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        decode(frames)


@given(any_message, st.data())
def test_a_truncated_or_lengthened_message_is_refused(message: Message, data: st.DataObject) -> None:
    frames = as_received(message)
    header = msgpack.unpackb(frames[0], strict_map_key=False)
    wrong = data.draw(
        st.sampled_from(
            [
                [frames[0][:-1], *frames[1:]],
                [frames[0] + b"\0", *frames[1:]],
                # Later versions append fields to Hello, which this version passes over.
                *([] if isinstance(message, Hello) else [[msgpack.packb([*header, 0]), *frames[1:]]]),
                [msgpack.packb(header[:-1]), *frames[1:]],
                [*frames, b""],
                [],
            ]
        )
    )
    with pytest.raises(ProtocolError):
        decode(wrong)


def with_field(message: TrainingMessage, name: str, value: object) -> list[bytes]:
    """The frames of a message with one field of its header replaced."""
    frames = as_received(message)
    header = msgpack.unpackb(frames[0])
    in_header = [f.name for f in fields(message) if str(f.type) not in ("Array", "WireArray")]
    header[2 + in_header.index(name)] = value
    return [msgpack.packb(header), *frames[1:]]


LINK = LinkId(Nonce(1, 2), Nonce(3, 4))
LABELS = LabelSet(0, "a", ("ham", "spam"), is_confirmed=False)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([b"\x00" * (MAX_HEADER_BYTES + 1)], f"header: {MAX_HEADER_BYTES + 1} bytes"),
        (with_field(LABELS, "labels", "ham"), "LabelSet.labels: not a list of"),
        (with_field(LABELS, "labels", ["ham", 1]), "LabelSet.labels: not a text"),
        (with_field(LABELS, "labels", ["ham", "ham"]), "LabelSet.labels: a label occurs twice"),
        (with_field(LABELS, "labels", [str(k) for k in range(MAX_LABELS + 1)]), "LabelSet.labels: not a list of"),
        (with_field(LABELS, "labels", [f"{k:0200}" for k in range(70)]), "name them in data.classes"),
        (with_field(Refuse("no"), "reason", "x" * (MAX_TEXT_LENGTH + 1)), "Refuse.reason: not a text"),
        (with_field(Ack(LINK, 1), "sequence", -1), "Ack.sequence: not a count"),
        (with_field(Ack(LINK, 1), "sequence", 2**62), "Ack.sequence: not a count"),
        (with_field(Ack(LINK, 1), "sequence", True), "Ack.sequence: not a count"),
        (with_field(Ack(LINK, 1), "link_id", [[1, 2], [3]]), "Ack.link_id: not a pair"),
        (
            as_received(StateReply(LINK, 0, -1, np.array([np.nan]))),
            "StateReply.params: holds a number that is not finite",
        ),
        (
            as_received(StateReply(LINK, 0, -1, np.array([np.inf]))),
            "StateReply.params: holds a number that is not finite",
        ),
        (
            [as_received(StateReply(LINK, 0, -1, np.zeros(1)))[0], b"1234567"],
            "StateReply.params: 7 bytes are not a whole number",
        ),
        ([msgpack.packb([PROTOCOL_VERSION, 99])], "header: unknown message kind 99"),
        ([msgpack.packb({"a": 1})], "header: not an array"),
    ],
)
def test_what_breaks_a_limit_is_refused_by_name(frames: list[bytes], said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        decode(frames)


def test_a_map_of_too_many_is_refused() -> None:
    fingerprint = {str(k): "" for k in range(MAX_FIELDS + 1)}
    hello = [PROTOCOL_VERSION, 1, [1, 1], None, fingerprint, "name", "", 0, False, [2, 2], []]
    with pytest.raises(ProtocolError, match=r"Hello\.fingerprint: not a map"):
        decode([msgpack.packb(hello)])


def test_another_version_is_told_from_garbage_and_nothing_behind_it_is_read() -> None:
    with pytest.raises(ForeignVersionError, match=f"theirs is 99, ours are {SPOKEN_VERSIONS}"):
        decode([msgpack.packb([99, 4, b"never", "seen"]), b"x"])


def share(total: Array) -> Share:
    return Share(LINK, 1, 0, 0, 64, 0, 2, 0.1, 0.0, 0, -1, False, total, np.zeros(2))


def test_a_share_of_low_precision_takes_half_the_bytes_and_says_so() -> None:
    total, params = (np.array([1 / 3, 1e-20, 7.0], dtype=np.float32) for _ in range(2))
    frames = as_received(Share(LINK, 2, 0, 1, 32, 0, 2, 0.1, 0.0, 0, -1, False, total, params))
    assert [len(frame) for frame in frames[1:]] == [12, 12]
    decoded = decode(frames)
    assert isinstance(decoded, Share)
    np.testing.assert_array_equal(decoded.total, total)
    assert decoded.total.dtype == np.float32


@pytest.mark.parametrize("precision", [16, 0, True, "64"])
def test_a_precision_that_is_none_is_refused(precision: object) -> None:
    with pytest.raises(ProtocolError, match=r"Share\.precision"):
        decode(with_field(share(np.zeros(4)), "precision", precision))


@pytest.mark.parametrize("weight", [np.nan, np.inf, -1.0])
def test_a_proximal_weight_that_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(ProtocolError, match=r"Share\.proximal_weight"):
        decode(with_field(share(np.zeros(4)), "proximal_weight", weight))
