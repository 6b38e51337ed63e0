"""Modules of PyTorch as models: their derivatives, what is refused, and parameters back into a module."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from p2pnet.data.samples import Samples
from p2pnet.errors import DataError, ModelError
from p2pnet.experiments.simulate.options import SimulateOptions
from p2pnet.interop.simulation import GIVEN, simulate_samples
from p2pnet.optim.models.base import Model
from p2pnet.optim.models.factory import ModelRequest, load_model
from p2pnet.optim.models.mlp import Mlp

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'p2pnet[torch]'")
nn = torch.nn
adapter = pytest.importorskip("p2pnet.interop.torch")

REQUEST = ModelRequest(n_inputs=12, n_outputs=3)


def mlp(n_inputs: int = 12, n_outputs: int = 3, width: int = 7) -> Any:
    return nn.Sequential(nn.Linear(n_inputs, width), nn.Tanh(), nn.Linear(width, n_outputs))


def convolutional() -> Any:
    convolution = nn.Conv2d(1, 4, 2)
    return nn.Sequential(nn.Unflatten(1, (1, 3, 4)), convolution, nn.GELU(), nn.Flatten(), nn.Linear(24, 3))


class Recurrent(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.recurrent = getattr(nn, kind)(4, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.recurrent(x.unflatten(1, (3, 4)))[0][:, -1])


class Attention(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.layer(x.unflatten(1, (3, 4))).mean(1))


NETWORKS: dict[str, Callable[[], Any]] = {
    "mlp": mlp,
    "convolutional": convolutional,
    "attention": Attention,
    **{kind: lambda kind=kind: Recurrent(kind) for kind in ("RNN", "GRU", "LSTM")},  # type: ignore[misc]
}


def model_of(build: Callable[[], Any], request: ModelRequest = REQUEST) -> Model:
    model: Model = adapter.adapted(build, request, "the model")
    return model


# Derivatives.


@pytest.mark.parametrize("name", NETWORKS)
def test_products_with_the_jacobian_are_those_of_finite_differences(name: str) -> None:
    model = model_of(lambda: NETWORKS[name]().double())
    rng = np.random.default_rng(0)
    w, X = model.init(rng), rng.standard_normal((5, 12))
    step, cotangents = rng.standard_normal(model.n_params), rng.standard_normal((5, 3))
    linearization = model.linearize(w, X)
    np.testing.assert_allclose(linearization.predictions, model.predict(w, X), atol=1e-14)
    h = 1e-6
    tangents = (model.predict(w + h * step, X) - model.predict(w - h * step, X)) / (2 * h)
    np.testing.assert_allclose(linearization.jvp(step), tangents, atol=1e-8 * (1 + np.abs(tangents).max()))
    pulled = linearization.vjp(cotangents) @ step
    assert pulled == pytest.approx(float(np.sum(cotangents * linearization.jvp(step))), rel=1e-10)


def test_a_module_like_the_built_in_network_has_its_predictions_derivatives_and_biases() -> None:
    built_in = Mlp((12, 7, 3))
    w = built_in.init(np.random.default_rng(0))
    model = model_of(lambda: mlp().double())
    X = np.random.default_rng(1).standard_normal((6, 12))
    order = as_torch_orders(built_in)
    np.testing.assert_allclose(model.predict(w[order], X), built_in.predict(w, X), atol=1e-14)
    assert model.is_bias().tolist() == built_in.is_bias()[order].tolist()
    cotangents = np.random.default_rng(2).standard_normal((6, 3))
    own, reference = model.linearize(w[order], X), built_in.linearize(w, X)
    np.testing.assert_allclose(own.vjp(cotangents), reference.vjp(cotangents)[order], atol=1e-13)


def as_torch_orders(built_in: Mlp) -> Any:
    """The places of a layer's weights, then of its biases, layer by layer."""
    places = np.arange(built_in.n_params, dtype=np.float64)
    parts = [part.ravel() for index in range(built_in.n_layers) for part in built_in.layer(places, index)]
    return np.concatenate(parts).astype(np.intp)


def test_several_threads_have_the_results_of_one() -> None:
    model = model_of(lambda: convolutional().double())
    rng = np.random.default_rng(0)
    ws = [model.init(rng) for _ in range(40)]
    X, step = rng.standard_normal((20, 12)), rng.standard_normal(model.n_params)

    def products(w: Any) -> Any:
        linearization = model.linearize(w, X)
        return np.append(linearization.jvp(step).ravel(), linearization.vjp(linearization.predictions))

    with ThreadPoolExecutor(4) as pool:
        for found, expected in zip(pool.map(products, ws), map(products, ws), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_torch_computes_with_one_thread() -> None:
    torch.set_num_threads(2)
    model_of(mlp)
    assert torch.get_num_threads() == 1


def test_first_parameters_are_the_modules_own_and_follow_the_seed_alone() -> None:
    model = model_of(mlp)
    first, again, other = (model.init(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.abs(first).max() < 1 / np.sqrt(7)  # as nn.Linear draws them
    before = torch.random.get_rng_state()
    model.init(np.random.default_rng(3))
    assert torch.equal(torch.random.get_rng_state(), before)


# What agents compare.


def test_networks_that_differ_in_a_layer_a_shape_or_a_frozen_value_are_told_apart() -> None:
    class Frozen(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, value: float) -> None:
            super().__init__()
            self.layer = nn.Linear(12, 3)
            self.register_buffer("offset", torch.tensor([value]))

        def forward(self, x: Any) -> Any:
            return self.layer(x + self.offset)

    texts = [
        model_of(build).describe()
        for build in (
            *(mlp, lambda: mlp(width=8), lambda: mlp().double()),
            lambda: nn.Sequential(nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 3)),
            *(lambda: Frozen(1.0), lambda: Frozen(2.0)),
        )
    ]
    assert len({*texts}) == len(texts)
    assert model_of(mlp).describe() == texts[0]
    assert texts[0].startswith("Sequential 12-3 float32 ")


def test_only_what_requires_a_gradient_is_trained() -> None:
    def build() -> Any:
        network = mlp()
        network[0].requires_grad_(False)
        return network

    model = model_of(build)
    assert model.n_params == 7 * 3 + 3
    # What is frozen is drawn by one seed, whatever the first parameters are.
    assert model.describe() == model_of(build).describe()


# What is refused.


def test_parts_that_are_random_or_mix_samples_are_named_with_what_to_do() -> None:
    def build() -> Any:
        return nn.Sequential(nn.Linear(12, 7), nn.BatchNorm1d(7), nn.Dropout(0.5), nn.Linear(7, 3))

    with pytest.raises(
        ModelError, match=r"1 \(BatchNorm1d\).*take GroupNorm or LayerNorm, or freeze it.*2 \(Dropout\)"
    ):
        model_of(build)
    assert model_of(lambda: build().eval()).n_outputs == 3
    with pytest.raises(ModelError, match=r"layer\.dropout.* drops out at random"):
        model_of(lambda: nn.ModuleDict({"layer": nn.TransformerEncoderLayer(4, 2, 8)}))


class Forward(nn.Module):  # type: ignore[misc, name-defined]
    """A module whose pass is a function."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(12, 3), function

    def forward(self, x: Any) -> Any:
        return self.function(self.layer, x)


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda layer, x: layer(x[:, :5]), "a pass over samples of shape .12,. raised RuntimeError"),
        (lambda layer, x: layer(x)[:, 0], "makes torch.float32 of shape .3,. of 3 samples"),
        (lambda layer, x: layer(x).double(), "makes torch.float64 of shape"),
        (lambda layer, x: nn.functional.dropout(layer(x), 0.5), "two passes over the same samples differ"),
        (lambda layer, x: layer(x) - layer(x).mean(0), "the outputs of a sample depend on the other samples"),
    ],
)
def test_a_pass_that_is_no_function_of_a_sample_is_refused(function: Any, what: str) -> None:
    with pytest.raises(ModelError, match=what):
        model_of(lambda: Forward(function))


def test_precisions_and_devices_that_there_are_not_are_refused() -> None:
    with pytest.raises(ModelError, match=r"its parameters are bfloat16; make all float32 or float64"):
        model_of(lambda: mlp().bfloat16())
    with pytest.raises(ModelError, match=r"model.device = cuda:7: "):
        model_of(mlp, ModelRequest(12, 3, device="cuda:7"))
    with pytest.raises(ModelError, match="no parameter that requires a gradient"):
        model_of(lambda: mlp().requires_grad_(False))


# Training.


def regression(n_samples: int = 60) -> Samples:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, 3))
    y = np.sin(X @ np.array([1.0, -0.5, 0.3])) + 0.1 * rng.standard_normal(n_samples)
    return Samples(X, y[:, np.newaxis], "regression", (), ("a", "b", "c"), "y")


def simulated(factory: str | None, **options: Any) -> Any:
    samples = regression()
    asked = SimulateOptions(
        agents=3,
        data=GIVEN,
        hidden=(4,),
        penalty="l2:1e-2",
        factory=factory,
        is_compared=False,
        **options,
    )
    return simulate_samples(asked, samples, samples, is_scaled=False)


class Small(nn.Module):  # type: ignore[misc, name-defined]
    """The built-in network of 3 inputs and 4 hidden neurons, with the first parameters of the seed 0."""

    def __init__(self, is_double: bool = True) -> None:
        super().__init__()
        self.layers = mlp(3, 1, 4).double()
        built_in = Mlp((3, 4, 1))
        w = built_in.init(np.random.default_rng(0))[as_torch_orders(built_in)]
        torch.nn.utils.vector_to_parameters(torch.from_numpy(w), self.layers.parameters())
        if not is_double:
            self.float()

    def forward(self, x: Any) -> Any:
        return self.layers(x)


SMALL = f"{__name__}:Small"


def test_a_module_trains_to_the_solution_of_the_built_in_network() -> None:
    # By one solver: the built-in network would be solved for directly, and end in another minimum.
    found, expected = (simulated(factory, rounds=600, tolerance=1e-8, solver="cg") for factory in (SMALL, None))
    order = as_torch_orders(Mlp((3, 4, 1)))
    solution = expected.model.file.params[order]
    assert np.linalg.norm(found.model.file.params - solution) < 1e-6 * np.linalg.norm(solution)


def test_single_precision_converges_to_1e_6_and_the_proximal_weight_does_not_grow() -> None:
    simulation = simulated(SMALL, arguments={"is_double": False}, rounds=1500, tolerance=1e-6, wire="float64")
    assert simulation.summary.stopped_because == "converged"
    weights = [record.proximal_weight for record in simulation.histories["agent-1"]]
    assert weights[-1] <= max(weights[: len(weights) // 2])


def test_a_module_with_other_outputs_than_there_are_labels_is_refused() -> None:
    labelled = Samples(regression().X, np.arange(60) % 2, "classification", ("a", "b"), ("a", "b", "c"), "y")
    options = SimulateOptions(agents=3, data=GIVEN, factory=SMALL, is_compared=False)
    with pytest.raises(DataError, match=r"Small 3-1 .* has 1 outputs, and 2 labels need 2; a parameter .* n_outputs"):
        simulate_samples(options, labelled, labelled, is_scaled=False)


def test_trained_parameters_load_into_a_module_bit_for_bit(tmp_path: Path) -> None:
    simulation = simulated(SMALL, arguments={"is_double": False}, rounds=20)
    path = tmp_path / "model.npz"
    simulation.model.save(path)
    module = adapter.load_into(Small(is_double=False), path)
    flat = torch.cat([part.detach().reshape(-1) for part in module.parameters()]).numpy()
    np.testing.assert_array_equal(flat, simulation.model.file.params.astype(np.float32))
    X = regression().X.astype(np.float32)
    with torch.no_grad():
        np.testing.assert_array_equal(module(torch.from_numpy(X)).numpy(), simulation.model.outputs(X))
    with pytest.raises(ModelError, match="another network than the module"):
        adapter.load_into(mlp(), path)


def test_arguments_of_the_settings_come_before_what_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    module = ModuleType("users_networks")
    module.build = mlp  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "users_networks", module)
    offered = load_model("users_networks:build", ModelRequest(5, 2))
    assert (offered.n_params, offered.n_outputs) == (5 * 7 + 7 + 7 * 2 + 2, 2)
    assert load_model("users_networks:build", ModelRequest(5, 2), {"n_outputs": 4, "width": 2}).n_outputs == 4
    with pytest.raises(ModelError, match="unexpected keyword argument 'wdth'"):
        load_model("users_networks:build", ModelRequest(5, 2), {"wdth": 2})
