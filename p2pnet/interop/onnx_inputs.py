"""From the inputs of an ONNX file to those of the network, as `data/encoding.py` makes them.

X (n_rows, number of columns that are numbers), double, in the model's order. Where columns are categories, C (n_rows,
number of these), text, in their order: the levels as the metadata's encoding has them. Where the model fills gaps, not
a number stands for a missing one, and the empty text, or another of `data/cells.py`, for a missing level.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

from p2pnet.data.cells import MISSING
from p2pnet.data.encoding import EncodedColumn, Encoding
from p2pnet.errors import ModelError
from p2pnet.interop.onnx_graph import Graph

OPSET_ML: Final = 2
"""Of the operators for text."""

_OTHER, _MISSING = -1, -2


def raw_inputs(graph: Graph, encoding: Encoding) -> tuple[str, list[Any]]:
    """(name of the network's inputs before scaling, the inputs of the graph); ModelError where columns are dates."""
    dates = [column.name for column in encoding.columns if column.kind == "date"]
    if dates:
        raise ModelError(
            f"column {dates[0]!r} is a date, of which ONNX makes no inputs here: predict with p2pnet, or train with "
            "the days as a column of numbers"
        )
    numbers = [column for column in encoding.columns if column.kind == "number"]
    categories = encoding.categories
    codes = {column.name: _codes(graph, column, _taken(graph, "C", place)) for place, column in enumerate(categories)}
    bits: list[str] = []
    if encoding.missing == "indicator":
        for column in encoding.columns:
            if column.kind == "category":
                bits.append(graph.add("Equal", codes[column.name], graph.whole(_MISSING)))
            else:
                bits.append(graph.add("IsNaN", _taken(graph, "X", numbers.index(column))))
    known = [column for column in categories if column.levels]
    bits += [graph.add("Equal", codes[column.name], graph.whole(*range(len(column.levels)))) for column in known]
    kinds, value_info = graph.onnx.TensorProto, graph.onnx.helper.make_tensor_value_info
    inputs = [value_info("X", kinds.DOUBLE, ["rows", len(numbers)])] if numbers else []
    inputs += [value_info("C", kinds.STRING, ["rows", len(categories)])] if categories else []
    parts = ["X"] if numbers else []
    parts += [graph.add("Cast", each, to=kinds.DOUBLE) for each in bits]
    return parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1), inputs


def _taken(graph: Graph, name: str, place: int) -> str:
    """One column of a matrix, (n_rows, 1)."""
    return graph.add("Gather", name, graph.whole(place), axis=1)


def _codes(graph: Graph, column: EncodedColumn, texts: str) -> str:
    """The place of each text among the levels, (n_rows, 1)."""
    code_of = dict.fromkeys(chain.from_iterable((text, text.upper(), text.title()) for text in MISSING), _MISSING)
    code_of |= {level: place for place, level in enumerate(column.levels)}
    return graph.add(
        "LabelEncoder",
        texts,
        domain="ai.onnx.ml",
        keys_strings=list(code_of),
        values_int64s=list(code_of.values()),
        default_int64=_OTHER,
    )
