"""The mutants of a source: each has one operator, constant, condition or return value changed."""

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

COMPARISONS = {
    "Lt": ("LtE", "Gt"),
    "LtE": ("Lt", "Gt"),
    "Gt": ("GtE", "Lt"),
    "GtE": ("Gt", "Lt"),
    "Eq": ("NotEq",),
    "NotEq": ("Eq",),
    "Is": ("IsNot",),
    "IsNot": ("Is",),
}
ARITHMETIC = {
    "Add": ("Sub",),
    "Sub": ("Add",),
    "Mul": ("Div",),
    "Div": ("Mul",),
    "FloorDiv": ("Mul",),
    "Mod": ("Add",),
    "Pow": ("Mul",),
    "BitAnd": ("BitXor",),
    "LShift": ("RShift",),
    "RShift": ("LShift",),
}
"""Not |: it stands in types as well."""
OTHERS = (
    *("AddNot", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop"),
)
OPERATORS = (
    *(f"ReplaceComparisonOperator_{one}_{other}" for one, others in COMPARISONS.items() for other in others),
    *(f"ReplaceBinaryOperator_{one}_{other}" for one, others in ARITHMETIC.items() for other in others),
    *OTHERS,
)


class ReturnNone(Operator):  # type: ignore[misc]
    """Returns None instead of a value."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        replacement = get_ast(f"{node.get_code(include_prefix=False)[:7]}None").children[0]
        replacement.get_first_leaf().prefix = node.get_first_leaf().prefix
        return replacement

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


@dataclass(frozen=True, slots=True)
class Mutant:
    """A source with one change."""

    path: Path
    """of the source as it is"""
    operator: str
    line: int
    change: str
    """the lines that are gone, and those that took their place"""
    code: str

    def key(self, tests: bytes) -> str:
        """The same as long as neither the source nor its tests are others."""
        return hashlib.sha256(self.code.encode() + tests).hexdigest()[:24]


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All mutants of a source that are other programs."""
    source = path.read_text(encoding="utf-8")
    nodes = list(ast_nodes(get_ast(source)))
    decorators = [range(node.start_pos[0], node.end_pos[0] + 1) for node in nodes if node.type == "decorator"]
    seen = {source}
    operators = {name: get_operator(f"core/{name}")() for name in OPERATORS} | {"ReturnNone": ReturnNone()}
    for name, operator in operators.items():
        places = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (line, _) in enumerate(places):
            code = mutate_code(source, operator, occurrence)
            is_declared = any(line in lines for lines in decorators)  # frozen, slots: they change nothing that runs
            if code is not None and code not in seen and not is_declared:
                seen.add(code)
                yield Mutant(path, name, line, changed_lines(source, code), code)


def changed_lines(source: str, code: str) -> str:
    lines = difflib.unified_diff(source.splitlines(), code.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in list(lines)[2:] if not line.startswith("@@"))
