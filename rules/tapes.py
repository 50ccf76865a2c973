"""Tapes: the number that a stack compares, as instructions for a machine with a stack of chunks of columns.

Only what the compiled sieve can compute has a tape: arithmetic, lags, and means and extremes over counted filings, of
columns of one form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rules.plan import Node

COLUMN, CONSTANT, ADD, SUBTRACT, MULTIPLY, DIVIDE, LESSER, GREATER, NEGATE, ABSOLUTE, MEAN, LOWEST, HIGHEST = range(13)
"""Kernels kept on disk have these numbers in them: a new instruction comes at the end."""

_BINARY = {
    "add": ADD,
    "subtract": SUBTRACT,
    "multiply": MULTIPLY,
    "divide": DIVIDE,
    "pair_min": LESSER,
    "pair_max": GREATER,
}
_UNARY = {"negate": NEGATE, "absolute": ABSOLUTE}
_WINDOWS = {"window_mean": MEAN, "window_min": LOWEST, "window_max": HIGHEST}
DEPTH = 16
"""Chunks that may be on the stack."""


@dataclass(frozen=True, slots=True)
class Tape:
    """Instructions [k, 3] over the filings of one form: `columns` and `constants` are the leaves' node ids.

    COLUMN takes a leaf and how many filings back, CONSTANT a leaf; windows take how many chunks they combine. `back`
    is how many filings back it looks; it is `plain` when it is nothing but one column, as filed now.
    """

    form: str
    code: NDArray[np.int64]
    columns: tuple[int, ...]
    constants: tuple[int, ...]
    back: int

    @property
    def plain(self) -> bool:
        """Whether the number is a column as it stands."""
        return len(self.code) == 1


class _Unsuited(Exception):
    """There is no instruction for a node."""


def tape_of(number: Node) -> Tape | None:
    """Return the tape of a number node; None where it needs more than there are instructions for."""
    writer = _Writer()
    try:
        writer.write(number, 0, 1)
    except _Unsuited:
        return None
    if len(writer.forms) != 1:
        return None
    (form,) = writer.forms
    code = np.array(writer.code, np.int64).reshape(-1, 3)
    return Tape(form, code, tuple(writer.columns), tuple(writer.constants), writer.back)


class _Writer:
    def __init__(self) -> None:
        self.code: list[tuple[int, int, int]] = []
        self.columns: list[int] = []
        self.constants: list[int] = []
        self.forms: set[str] = set()
        self.back = 0

    def write(self, node: Node, back: int, depth: int) -> None:
        """Append what puts the node's value of `back` filings ago on the stack, as its `depth`-th chunk."""
        if depth > DEPTH:
            raise _Unsuited
        match node.op:
            case "column":
                self._of_form(node)
                self.back = max(self.back, back)
                self.code.append((COLUMN, _place(self.columns, node.id), back))
            case "constant" if node.kind == "number":
                self.code.append((CONSTANT, _place(self.constants, node.id), 0))
            case "lag":
                self._of_form(node)
                self.write(node.args[0], back + cast(int, node.params[1]), depth)
            case op if op in _WINDOWS and node.params[1]:
                self._of_form(node)
                filings = cast(int, node.params[1])
                for ago in range(filings):
                    self.write(node.args[0], back + ago, depth + ago)
                self.code.append((_WINDOWS[op], filings, 0))
            case op if op in _BINARY:
                for place, arg in enumerate(node.args):
                    self.write(arg, back, depth + place)
                self.code.append((_BINARY[op], 0, 0))
            case op if op in _UNARY:
                self.write(node.args[0], back, depth)
                self.code.append((_UNARY[op], 0, 0))
            case _:
                raise _Unsuited

    def _of_form(self, node: Node) -> None:
        self.forms.add(str(node.params[0]))


def _place(leaves: list[int], leaf: int) -> int:
    if leaf not in leaves:
        leaves.append(leaf)
    return leaves.index(leaf)
