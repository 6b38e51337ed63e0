"""The model file: what is written is read, and nothing else is believed or unpacked."""

import io
import json
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pnet.data.npz_archive import archive_bytes, read_archive
from p2pnet.errors import DataError, ModelError
from p2pnet.training.model_file import FORMAT_VERSION, ModelFile
from p2pnet.training.model_text import model_text
from p2pnet.training.trained_model import load, trained_model
from tests.training.models import model_of, rows_for

OF_RELEASE_0_1 = Path(__file__).parents[1] / "compatibility" / "release_0_1" / "model.npz"
OLD_KEYS = [
    *("params", "model", "task", "classes", "feature_names", "target_name"),
    *("feature_mean", "feature_scale", "target_mean", "target_scale"),
]


def arrays_of(file: ModelFile) -> dict[str, Any]:
    return read_archive(file.to_bytes())


def npz(arrays: dict[str, Any], *, is_compressed: bool = False) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if is_compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def without_checksum(**arrays: Any) -> dict[str, Any]:
    """The entries of release 0.1, which had no checksum, with some of them changed."""
    entries = {name: array for name, array in arrays_of(model_of().file).items() if name in OLD_KEYS}
    return entries | arrays


@pytest.mark.parametrize("loss", ["softmax-cross-entropy", "logistic", "half-squared", "poisson-deviance"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_what_is_saved_is_loaded_and_predicts_the_same_to_the_bit(loss: str, precision: str, tmp_path: Path) -> None:
    model = model_of(loss, precision=precision)
    model.save(tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert loaded.file.description.network == model.file.description.network
    assert loaded.file.provenance == model.file.provenance
    assert loaded.file.metrics == model.file.metrics
    assert loaded.file.describe() == model.file.describe()
    X = rows_for(model)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded.outputs(X), model.outputs(X))


def test_the_entries_of_release_0_1_keep_their_names_and_come_first() -> None:
    assert list(arrays_of(model_of().file))[: len(OLD_KEYS)] == OLD_KEYS
    assert list(read_archive(OF_RELEASE_0_1.read_bytes())) == OLD_KEYS


def test_a_model_of_release_0_1_predicts_by_the_formula() -> None:
    arrays = read_archive(OF_RELEASE_0_1.read_bytes())
    X = np.random.default_rng(0).standard_normal((10, 4))
    inputs = (X - arrays["feature_mean"]) / arrays["feature_scale"]
    first, last = arrays["params"][:20].reshape(4, 5), arrays["params"][20:].reshape(3, 5)
    outputs = np.tanh(inputs @ first[:, :4].T + first[:, 4]) @ last[:, :4].T + last[:, 4]
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    model = load(OF_RELEASE_0_1)
    np.testing.assert_allclose(model.predict_proba(X), shares, atol=1e-14)
    assert model.predict(X).tolist() == arrays["classes"][outputs.argmax(axis=1)].tolist()
    assert model.file.format_version == 0


@pytest.mark.parametrize("loss", ["logistic", "poisson-deviance"])
def test_where_an_old_file_does_not_say_on_what_predictions_depend_it_is_asked_for(loss: str) -> None:
    model = model_of(loss)
    arrays = {name: array for name, array in arrays_of(model.file).items() if name in OLD_KEYS}
    old = ModelFile.from_bytes(npz(arrays))
    with pytest.raises(ModelError, match=rf"does not say with which loss.*{loss}"):
        trained_model(old)
    X = rows_for(model)
    np.testing.assert_array_equal(trained_model(old, loss).predict(X), model.predict(X))
    with pytest.raises(ModelError, match=f"was trained with loss {loss}, not huber"):
        trained_model(model.file, "huber")


def test_a_description_is_json_and_text() -> None:
    file = model_of().file
    described = json.loads(json.dumps(file.describe(), allow_nan=False))
    assert described["format_version"] == FORMAT_VERSION
    assert described["layer_sizes"] == [4, 6, 5, 3]
    assert described["layer_activations"] == ["tanh", "tanh", "identity"]
    assert described["feature_names"] == list(file.description.feature_names)
    shown = model_text(file)
    for part in ("mlp 4-6-5-3 tanh", "zebra, ant, bee", "ann, 12 rounds", "blood pressure", "2026-01-02"):
        assert part in shown


def test_a_name_in_a_file_cannot_forge_a_line() -> None:
    file = model_of().file
    forged = replace(file, description=replace(file.description, target_name="y\nloss        none"))
    assert "y\\nloss" in model_text(forged)


# What is not believed.


def test_a_file_that_was_changed_is_refused() -> None:
    arrays = arrays_of(model_of().file)
    arrays["params"] = arrays["params"] + 1e-9
    with pytest.raises(ModelError, match="checksum"):
        ModelFile.from_bytes(npz(arrays))


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_or_changes_nothing(place: int, bit: int) -> None:
    content = bytearray(model_of().file.to_bytes())
    content[place % len(content)] ^= 1 << bit
    try:
        file = ModelFile.from_bytes(bytes(content))
    except (DataError, ModelError):
        return
    assert file.describe() == model_of().file.describe()
    np.testing.assert_array_equal(file.params, model_of().file.params)


@given(content=st.binary(max_size=200))
def test_any_other_bytes_are_an_error(content: bytes) -> None:
    for prefix in (b"", b"PK\x03\x04", b"PK\x05\x06"):
        with pytest.raises(DataError):
            read_archive(prefix + content + b"x")


def test_a_later_format_is_refused_by_name() -> None:
    arrays = arrays_of(model_of().file) | {"format_version": np.array(FORMAT_VERSION + 1)}
    with pytest.raises(ModelError, match=rf"has format {FORMAT_VERSION + 1}.*install the release"):
        ModelFile.from_bytes(npz(arrays))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"params": np.zeros(5)}, "has 83 parameters, the file holds 5"),
        ({"params": np.full(83, np.nan)}, "not finite"),
        ({"model": np.array("mlp 4-6-5-3 swish")}, "swish"),
        ({"model": np.array("mlp 4-0-3 tanh")}, "layer sizes"),
        ({"model": np.array("")}, "a model of one's own"),
        ({"task": np.array("ranking")}, "task 'ranking' is not known"),
        ({"classes": np.array(["a", "b"])}, "into 2 classes does not go with the 3 outputs"),
        ({"feature_names": np.array(["a"])}, "not the same length"),
        ({"feature_scale": np.zeros(4)}, "a scale is 0"),
        ({"feature_mean": np.array("no")}, "entry 'feature_mean'"),
        ({"target_mean": np.zeros(3)}, "entry 'target_mean'"),
    ],
)
def test_entries_that_do_not_go_together_are_named(changed: dict[str, Any], what: str) -> None:
    with pytest.raises(ModelError, match=what):
        trained_model(ModelFile.from_bytes(npz(without_checksum(**changed))))


@pytest.mark.parametrize("name", OLD_KEYS)
def test_a_missing_entry_is_named(name: str) -> None:
    arrays = without_checksum()
    del arrays[name]
    with pytest.raises(ModelError, match=f"has no entry '{name}'"):
        ModelFile.from_bytes(npz(arrays))


def test_a_file_chooses_no_code() -> None:
    file = model_of().file
    shape = replace(file.description.network, sizes=(), activations=(), text="own 1", factory="antigravity:fly")
    own = ModelFile.from_bytes(replace(file, description=replace(file.description, network=shape)).to_bytes())
    with pytest.raises(ModelError, match=r"give its factory .*\('antigravity:fly' when it was trained\)"):
        trained_model(own)
    with pytest.raises(ModelError, match="was trained with factory antigravity:fly, not os:getcwd"):
        trained_model(own, factory="os:getcwd")


# What is not unpacked.


def peak_bytes(content: bytes, what: str) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=what):
            read_archive(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_would_grow_in_unpacking_is_refused_before_it_does() -> None:
    content = npz(without_checksum(params=np.zeros(5_000_000)), is_compressed=True)
    assert len(content) < 100_000
    assert peak_bytes(content, "compressed") < 1_000_000


def test_a_header_that_declares_more_than_there_is_is_refused_before_there_is_room_made() -> None:
    entry = io.BytesIO()
    np.lib.format.write_array_header_1_0(entry, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("params.npy", entry.getvalue() + bytes(64))
    assert peak_bytes(buffer.getvalue(), "declares 1000000000000 values") < 1_000_000


def test_entries_that_lie_on_each_other_are_refused() -> None:
    one = npz({"params": np.zeros(100_000)})
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        entry = archive.infolist()[0]
        buffer = io.BytesIO(one[: archive.start_dir])
        with zipfile.ZipFile(buffer, "a") as forged:
            for number in range(100):
                again = zipfile.ZipInfo(f"{number}.npy")
                again.header_offset, again.CRC = entry.header_offset, entry.CRC
                again.file_size = again.compress_size = entry.file_size
                forged.filelist.append(again)
            forged._didModify = True  # type: ignore[attr-defined]
    assert peak_bytes(buffer.getvalue(), "declares .* bytes of arrays in a file of") < 4_000_000


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"params": np.array([{}], dtype=object)}, "Object arrays cannot be loaded|an array of object"),
        ({"params": np.zeros(3, dtype=[("a", "f8")])}, "only numbers and text"),
        ({f"a{k}": np.zeros(1) for k in range(300)}, "has 300 entries"),
    ],
)
def test_only_plain_arrays_are_read(arrays: dict[str, Any], what: str) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    with pytest.raises(DataError, match=what):
        read_archive(buffer.getvalue())


def test_what_is_no_array_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("evil.pkl", b"cos\nsystem\n")
    with pytest.raises(DataError, match=r"evil\.pkl"):
        read_archive(buffer.getvalue())


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.one_of(
            st.integers(-(2**62), 2**62).map(np.array),
            st.text(max_size=5).filter(lambda text: "\0" not in text).map(np.array),
            st.lists(st.floats(allow_nan=False), max_size=5).map(np.array),
            st.integers(0, 3).map(lambda n: np.asfortranarray(np.ones((n, 2), dtype=np.float32))),
        ),
        max_size=4,
    )
)
def test_an_archive_gives_its_arrays_back(arrays: dict[str, Any]) -> None:
    found = read_archive(archive_bytes(arrays))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"model\.npz: no such file"):
        load(tmp_path / "model.npz")
