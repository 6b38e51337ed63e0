"""PyTorch: a `torch.nn.Module` as a model, and trained parameters back into a module.

A module takes samples (n_samples, *input_shape) in the precision of its parameters, and gives outputs (n_samples,
n_outputs). Its parameters that require a gradient are trained; all else that it holds is part of the model, and must be
equal at all agents. J u is found by two reverse passes: g(c) = Jᵀ c is linear in c, and its own transpose is J.
Forward mode would be neither faster nor safe in several threads.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, final

import numpy as np
import torch
from torch.func import functional_call

from p2pnet.errors import ModelError
from p2pnet.interop.foreign_model import ForeignModel, Signature
from p2pnet.interop.torch_checks import check_outputs, refuse_what_is_not_a_function
from p2pnet.optim.arrays import Array
from p2pnet.optim.models.base import Linearization, Model
from p2pnet.optim.models.factory import ModelRequest
from p2pnet.training.model_file import ModelFile

_MAX_SEED: Final = 2**31

ModuleT = TypeVar("ModuleT")


def adapted(build: Callable[[], Any], request: ModelRequest, where: str) -> Model:
    """The module that a factory makes as a model; ModelError names what in it cannot be trained here.

    From now on torch computes with one thread, since agents and their workers are the threads that there are, and
    without the fused kernels that have no second derivative.
    """
    torch.set_num_threads(1)
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    model = TorchModel(build, request, where)
    if model.is_recurrent:
        torch.backends.cudnn.enabled = False
    return model


def load_into(module: ModuleT, path: str | Path) -> ModuleT:
    """The module, with the parameters of a model file; ModelError where they are another network's."""
    file = ModelFile.load(Path(path))
    parts = _trained(module, "the module")
    digest = _digest(module)
    if digest not in file.description.network.text.split():
        raise ModelError(
            f"{path}: holds {file.description.network.text}, which is another network than the module, or holds other "
            "values that are not trained"
        )
    flat = torch.from_numpy(file.params.copy())
    with torch.no_grad():
        sizes = [part.numel() for part in parts.values()]
        for part, values in zip(parts.values(), flat.split(sizes), strict=True):
            part.copy_(values.reshape(part.shape))
    return module


@final
class TorchModel(ForeignModel):
    """A module's outputs as a function of one flat vector: its trained parameters in the order of their names."""

    def __init__(self, build: Callable[[], Any], request: ModelRequest, where: str) -> None:
        self._build, self._request, self._where = build, request, where
        # What is not trained must be the same wherever the model is made.
        module = _seeded(build, 0)
        refuse_what_is_not_a_function(module, where)
        self.device = _device(request.device, where)
        module = module.to(self.device)
        parts = _trained(module, where)
        n_outputs = check_outputs(module, request.shape, _dtype(module, where), self.device, where)
        self.is_recurrent = any(isinstance(part, torch.nn.RNNBase) for part in module.modules())
        self._names = tuple(parts)
        self._shapes = tuple(part.shape for part in parts.values())
        self._sizes = [part.numel() for part in parts.values()]
        self._torch_dtype = _dtype(module, where)
        dtype: np.dtype[Any] = np.dtype(str(self._torch_dtype).removeprefix("torch."))
        is_bias = np.concatenate([np.full(part.numel(), _is_bias(name, part)) for name, part in parts.items()])
        name = type(module).__name__
        super().__init__(Signature(name, request.shape, request.n_inputs, n_outputs, dtype, is_bias, _digest(module)))
        self._own = _PerThread(module)
        self._n_numbers = self._measured()

    @property
    def n_numbers_per_sample(self) -> int:
        return self._n_numbers

    def init(self, rng: np.random.Generator) -> Array:
        module = _seeded(self._build, int(rng.integers(_MAX_SEED)))
        parts = _trained(module, self._where).values()
        flat: Array = torch.cat([part.detach().reshape(-1) for part in parts]).cpu().numpy()
        return flat

    def predict(self, params: Array, X: Array) -> Array:
        with torch.no_grad():
            return _array(self._outputs(self._tensor(params), X))

    def linearize(self, params: Array, X: Array) -> TorchLinearization:
        flat = self._tensor(params).requires_grad_()
        with torch.enable_grad():
            outputs = self._outputs(flat, X)
        return TorchLinearization(self, flat, outputs)

    def _outputs(self, flat: Any, X: Array) -> Any:
        pieces = flat.split(self._sizes)
        params = {name: piece.view(shape) for name, piece, shape in zip(self._names, pieces, self._shapes, strict=True)}
        inputs = self._tensor(X).reshape(len(X), *self._request.shape)
        return functional_call(self._own.module, params, (inputs,))

    def _tensor(self, values: Array) -> Any:
        """A tensor of its own on the device, whatever becomes of the array."""
        return torch.tensor(values, dtype=self._torch_dtype, device=self.device)

    def _measured(self) -> int:
        """How many numbers both graphs keep for a sample."""
        kept = [0, 0]
        zeros = np.zeros(self.n_params, dtype=self.dtype)
        for place, n_samples in enumerate((1, 3)):

            def keep(tensor: Any, place: int = place) -> Any:
                kept[place] += tensor.numel()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                X = np.zeros((n_samples, self.n_inputs), dtype=self.dtype)
                self.linearize(zeros, X).jvp(zeros)
        return max(8 * self.n_outputs, (kept[1] - kept[0]) // 2)


@final
class TorchLinearization(Linearization):
    """Products with the Jacobian of a module's outputs, which keep the graph of one forward pass."""

    def __init__(self, model: TorchModel, flat: Any, outputs: Any) -> None:
        self._model = model
        self._flat = flat
        self._outputs = outputs
        self._lock = threading.Lock()
        self._pulled: tuple[Any, Any] | None = None
        """(c, Jᵀ c) as a graph, from the first step on"""
        self.predictions = _array(outputs.detach())
        self.n_params = model.n_params

    def jvp(self, step: Array) -> Array:
        with self._lock:
            if self._pulled is None:
                self._pulled = self._pulled_back()
        cotangents, pulled = self._pulled
        return _array(self._transposed(pulled, cotangents, self._model._tensor(step)))

    def vjp(self, cotangents: Array) -> Array:
        return _array(self._transposed(self._outputs, self._flat, self._model._tensor(cotangents)))

    def _pulled_back(self) -> tuple[Any, Any]:
        cotangents = torch.zeros_like(self._outputs).requires_grad_()
        with torch.enable_grad():
            (pulled,) = torch.autograd.grad(self._outputs, self._flat, cotangents, create_graph=True)
        return cotangents, pulled

    def _transposed(self, result: Any, argument: Any, vector: Any) -> Any:
        (product,) = torch.autograd.grad(result, argument, vector, retain_graph=True, materialize_grads=True)
        return product


@final
class _PerThread(threading.local):
    """A module for each thread, with the tensors of one: `functional_call` changes a module while it runs."""

    def __init__(self, module: Any) -> None:
        tensors = [*module.parameters(), *module.buffers()]
        self.module = copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})


def _seeded(build: Callable[[], Any], seed: int) -> Any:
    """The module that the factory makes with torch's randomness set to the seed, and put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _trained(module: Any, where: str) -> dict[str, Any]:
    """The parameters that are trained, by name."""
    parts = {name: part for name, part in module.named_parameters() if part.requires_grad}
    if not parts:
        raise ModelError(f"{where}: has no parameter that requires a gradient; there is nothing to train")
    return parts


def _dtype(module: Any, where: str) -> Any:
    kinds = {part.dtype for part in _trained(module, where).values()}
    if len(kinds) > 1 or not kinds <= {torch.float32, torch.float64}:
        found = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        raise ModelError(f"{where}: its parameters are {found}; make all float32 or float64, by .float() or .double()")
    return kinds.pop()


def _device(name: str, where: str) -> Any:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"{where}: model.device = {name}: {error}") from error


def _is_bias(name: str, part: Any) -> bool:
    """Whether penalties leave it out: biases, and the scales of normalisations."""
    return part.dim() <= 1 or name.rpartition(".")[2].startswith("bias")


def _digest(module: Any) -> str:
    """Of what the module is made of, and of all that it holds but does not train."""
    digest = hashlib.sha256()
    for name, part in module.named_modules():
        digest.update(f"{name} {type(part).__name__}\n".encode())
    trained = {name for name, part in module.named_parameters() if part.requires_grad}
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        if name not in trained:
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:8]


def _array(tensor: Any) -> Array:
    array: Array = tensor.detach().cpu().numpy()
    return array
