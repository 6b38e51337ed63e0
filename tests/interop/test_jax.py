"""Functions of JAX and modules of Flax as models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from p2pnet.data.scaling import no_scaling
from p2pnet.errors import ModelError
from p2pnet.optim.models.factory import ModelRequest
from p2pnet.training.model_file import ModelDescription, ModelFile, Network

jax = pytest.importorskip("jax", reason="jax is not installed: pip install 'p2pnet[jax]'")
adapter = pytest.importorskip("p2pnet.interop.jax")

REQUEST = ModelRequest(n_inputs=12, n_outputs=3, input_shape=(3, 4))


def pair(width: int = 7) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A network of one hidden layer over samples of shape (3, 4)."""

    def init(key: Any, x: Any) -> Any:
        first, second = jax.random.split(key)
        n_inputs = x[0].size
        return {
            "hidden": {"w": jax.random.normal(first, (n_inputs, width)) / n_inputs**0.5, "b": jax.numpy.zeros(width)},
            "out": {"w": jax.random.normal(second, (width, 3)) / width**0.5, "b": jax.numpy.zeros(3)},
        }

    def apply(params: Any, x: Any) -> Any:
        hidden, out = params["hidden"], params["out"]
        return jax.numpy.tanh(x.reshape(len(x), -1) @ hidden["w"] + hidden["b"]) @ out["w"] + out["b"]

    return init, apply


def test_products_with_the_jacobian_are_those_of_finite_differences() -> None:
    model = adapter.adapted(pair, REQUEST, "the model")
    assert (model.n_params, model.n_outputs, int(model.is_bias().sum())) == (12 * 7 + 7 + 7 * 3 + 3, 3, 10)
    assert model.dtype == np.float32
    rng = np.random.default_rng(0)
    w, X = model.init(rng), rng.standard_normal((5, 12)).astype(np.float32)
    step = rng.standard_normal(model.n_params).astype(np.float32)
    cotangents = rng.standard_normal((5, 3)).astype(np.float32)
    linearization = model.linearize(w, X)
    np.testing.assert_allclose(linearization.predictions, model.predict(w, X), rtol=1e-6)
    h = np.float32(1e-2)
    tangents = (model.predict(w + h * step, X) - model.predict(w - h * step, X)) / (2 * h)
    np.testing.assert_allclose(linearization.jvp(step), tangents, atol=1e-2 * np.abs(tangents).max())
    pulled = linearization.vjp(cotangents) @ step
    assert pulled == pytest.approx(float(np.sum(cotangents * linearization.jvp(step))), rel=1e-4)
    assert linearization.vjp(cotangents).flags.writeable


def test_first_parameters_and_the_text_follow_the_seed_and_the_shapes() -> None:
    model = adapter.adapted(pair, REQUEST, "the model")
    first, again, other = (model.init(np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert model.describe() != adapter.adapted(lambda: pair(8), REQUEST, "the model").describe()


def test_trained_parameters_load_into_a_tree_bit_for_bit(tmp_path: Path) -> None:
    model = adapter.adapted(pair, REQUEST, "the model")
    params = model.init(np.random.default_rng(0)).astype(np.float64)
    description = ModelDescription(
        network=Network(text=model.describe(), precision="float32", factory="mine:pair", input_shape=(3, 4)),
        task="classification",
        classes=("a", "b", "c"),
        feature_names=tuple(f"x{k}" for k in range(12)),
        target_name="y",
        scaling=no_scaling(12),
        loss="softmax-cross-entropy",
    )
    ModelFile(params=params, description=description).save(tmp_path / "model.npz")
    init, apply = pair()
    x = np.ones((2, 3, 4), dtype=np.float32)
    tree = adapter.load_into(init(jax.random.key(7), x), tmp_path / "model.npz")
    flat, _ = jax.flatten_util.ravel_pytree(tree)
    np.testing.assert_array_equal(np.asarray(flat), params.astype(np.float32))
    np.testing.assert_allclose(apply(tree, x), model.predict(params, x.reshape(2, 12)), rtol=1e-6)
    with pytest.raises(ModelError, match="another network's parameters"):
        adapter.load_into(pair(8)[0](jax.random.key(0), x), tmp_path / "model.npz")


@pytest.mark.parametrize(
    ("apply", "what"),
    [
        (lambda params, x: x @ params, r"apply\(params, x\) raised TypeError"),
        (lambda params, x: pair()[1](params, x)[:, 0], r"makes float32 of shape \(3,\) of 3 samples"),
        (lambda params, x: pair()[1](params, x) - x[0, 0, 0], "the outputs of a sample depend on the other samples"),
    ],
)
def test_what_is_no_function_of_a_sample_is_refused(apply: Any, what: str) -> None:
    with pytest.raises(ModelError, match=what):
        adapter.adapted(lambda: (pair()[0], apply), REQUEST, "the model")


def test_a_flax_module_is_a_model_and_its_batch_norm_is_refused() -> None:
    flax = pytest.importorskip("flax.linen", reason="flax is not installed: pip install 'p2pnet[jax]'")
    network = flax.Sequential([lambda x: x.reshape(len(x), -1), flax.Dense(7), flax.tanh, flax.Dense(3)])
    model = adapter.adapted(lambda: network, REQUEST, "the model")
    assert (model.n_params, model.n_outputs, int(model.is_bias().sum())) == (12 * 7 + 7 + 7 * 3 + 3, 3, 10)
    assert model.describe().startswith("Sequential 3x4-3 float32 ")
    normal = flax.Sequential([flax.Dense(3), flax.BatchNorm(use_running_average=False)])
    with pytest.raises(ModelError, match=r"keeps batch_stats beside its parameters.* take GroupNorm or LayerNorm"):
        adapter.adapted(lambda: normal, REQUEST, "the model")
