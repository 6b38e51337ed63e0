"""The parts of an ONNX graph while it is put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray


@final
class Graph:
    """Nodes and constants, each named anew."""

    def __init__(self, onnx: Any, dtype: np.dtype[Any]) -> None:
        self.onnx = onnx
        self.dtype = dtype
        """Of constants from here on."""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:
        return self._keep(np.asarray(values, dtype=self.dtype))

    def whole(self, *values: int) -> str:
        return self._keep(np.array(values, dtype=np.int64))

    def texts(self, values: Sequence[str]) -> str:
        return self._keep(np.array(values, dtype=object))

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """The name of the node's output."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _keep(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
