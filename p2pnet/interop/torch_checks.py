"""What a module must be to be trained here: a function of the parameters and of one sample, with a derivative."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from p2pnet.errors import ModelError

_MAX_NAMED: Final = 5
_RELATIVE: Final = 1e-3


def refuse_what_is_not_a_function(module: Any, where: str) -> None:
    """ModelError names the parts whose outputs are random, or depend on the other samples."""
    wrong = [(name or type(part).__name__, _objection(part)) for name, part in module.named_modules() if part.training]
    wrong = [(name, objection) for name, objection in wrong if objection]
    if not wrong:
        return
    objections = list(dict.fromkeys(objection for _, objection in wrong))
    told = []
    for objection in objections:
        names = [name for name, other in wrong if other == objection]
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        told.append(f"{', '.join(names[:_MAX_NAMED])}{more} {objection}")
    raise ModelError(f"{where}: {'; '.join(told)}")


def _objection(part: Any) -> str:
    kind = type(part).__name__
    if isinstance(part, _NormBase) and (part.track_running_stats or not kind.startswith(("Instance", "LazyInstance"))):
        return (
            f"({kind}) makes of each sample what the others of its batch are like; take GroupNorm or LayerNorm, or "
            "freeze it by .eval() in the factory"
        )
    probability = part.p if isinstance(part, _DropoutNd) else getattr(part, "dropout", 0.0)
    if isinstance(probability, float) and probability > 0.0:
        return f"({kind}) drops out at random; set it to 0, and keep parameters small by objective.penalty"
    if isinstance(part, nn.RReLU | nn.FractionalMaxPool2d | nn.FractionalMaxPool3d):
        return f"({kind}) is random; take LeakyReLU or MaxPool, or freeze it by .eval() in the factory"
    return ""


def check_outputs(module: Any, shape: tuple[int, ...], dtype: Any, device: Any, where: str) -> int:
    """How many outputs the module has; ModelError where a pass over a few samples fails, or is no function of each."""
    X = torch.stack([torch.arange(k, k + _size(shape)) % 2 for k in range(3)]).reshape(3, *shape).to(device, dtype)
    try:
        with torch.no_grad():
            outputs, again = module(X), module(X)
    except Exception as error:  # a user's module may raise anything
        raise ModelError(
            f"{where}: a pass over samples of shape {shape} raised {type(error).__name__}: {error}"
        ) from error
    if not torch.is_tensor(outputs) or outputs.dim() != 2 or len(outputs) != 3 or outputs.dtype != dtype:
        got = f"{outputs.dtype} of shape {tuple(outputs.shape)}" if torch.is_tensor(outputs) else type(outputs).__name__
        raise ModelError(f"{where}: makes {got} of 3 samples; it must make {dtype} of shape (3, number of outputs)")
    if not torch.equal(outputs, again):
        raise ModelError(f"{where}: two passes over the same samples differ; take out what is random in forward")
    with torch.no_grad():
        alone = torch.cat([module(X[k : k + 1]) for k in range(3)])
    if not torch.allclose(outputs, alone, rtol=_RELATIVE, atol=_RELATIVE * float(outputs.abs().max())):
        raise ModelError(
            f"{where}: the outputs of a sample depend on the other samples; each must be a function of its own"
        )
    return int(outputs.shape[1])


def _size(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())
