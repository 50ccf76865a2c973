"""Networks, balance sheets and shocks for the systemic commands, read from CSV with an error for people."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from rules.problems import InputError, nearest

if TYPE_CHECKING:
    from systemic.arrays import Sparse, Vector

EDGES = ("lender", "borrower", "amount")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Balance sheets: institutions in the file's order, and columns of numbers by name."""

    file: str
    institutions: tuple[str, ...]
    columns: dict[str, Vector]

    def column(self, name: str, default: float | None = None) -> Vector:
        """Return a column; InputError when it is not there and there is no default."""
        if name in self.columns:
            return self.columns[name]
        if default is None:
            fix = nearest(name, self.columns)
            raise InputError(f"{self.file} needs a column {name!r}. {fix}".strip())
        return np.full(len(self.institutions), default)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A shock with a name: the share lost by each institution (float64[n])."""

    name: str
    shares: Vector


def read_sheet(path: Path) -> Sheet:
    """Read balance sheets: a column `institution` and columns of numbers; empty cells are refused."""
    lines = _lines(path)
    number, header = next(lines, (0, []))
    if "institution" not in header:
        raise InputError(f"{path}: needs a column 'institution'; it has {', '.join(header) or 'nothing'}")
    names: list[str] = []
    rows: list[list[float]] = []
    where = header.index("institution")
    for number, cells in lines:
        _same_length(path, number, cells, header)
        if cells[where] in names:
            raise InputError(f"{path}:{number}: {cells[where]!r} stands twice")
        names.append(cells[where])
        rows.append(
            [_number(path, number, c, h) for i, (c, h) in enumerate(zip(cells, header, strict=True)) if i != where]
        )
    values = np.array(rows, np.float64).reshape(len(names), len(header) - 1)
    kept = [h for h in header if h != "institution"]
    return Sheet(str(path), tuple(names), {name: values[:, i] for i, name in enumerate(kept)})


def read_network(path: Path, institutions: Sequence[str] | None = None) -> tuple[tuple[str, ...], Sparse]:
    """Read an edge list `lender,borrower,amount`, or a square matrix whose rows lend to its columns.

    A matrix has the institutions' codes as its header, and in its first column or not at all. Repeated edges
    add up. With `institutions` the network is in that order and may name no others; else in order of
    appearance. InputError says file, line and what is wrong.
    """
    lines = _lines(path)
    _, header = next(lines, (0, []))
    if {"lender", "borrower", "amount"} <= set(header):
        edges = _edges(path, header, lines)
    else:
        edges = _matrix(path, header, lines)
    known = list(institutions) if institutions is not None else []
    place = {name: i for i, name in enumerate(known)}
    for number, lender, borrower, _ in edges:
        for name in (lender, borrower):
            if name not in place and institutions is not None:
                fix = nearest(name, known)
                raise InputError(f"{path}:{number}: {name!r} has no balance sheet. {fix}".strip())
            place.setdefault(name, len(place))
    for number, lender, borrower, amount in edges:
        if lender == borrower and amount:
            raise InputError(f"{path}:{number}: {lender!r} lends to itself")
        if amount < 0:
            raise InputError(f"{path}:{number}: the amount {amount:g} is negative; a debt is an exposure of the other")
    rows = [place[lender] for _, lender, _, _ in edges]
    columns = [place[borrower] for _, _, borrower, _ in edges]
    amounts = np.array([amount for *_, amount in edges], np.float64)
    shape = (len(place), len(place))
    network: Sparse = sparse.csr_array((amounts, (rows, columns)), shape=shape)
    network.sum_duplicates()
    network.eliminate_zeros()
    return tuple(place), network


Edge = tuple[int, str, str, float]


def _edges(path: Path, header: list[str], lines: Iterator[tuple[int, list[str]]]) -> list[Edge]:
    lender, borrower, amount = (header.index(name) for name in EDGES)
    found = []
    for number, cells in lines:
        _same_length(path, number, cells, header)
        found.append((number, cells[lender], cells[borrower], _number(path, number, cells[amount], "amount")))
    return found


def _matrix(path: Path, header: list[str], lines: Iterator[tuple[int, list[str]]]) -> list[Edge]:
    rows = list(lines)
    labelled = len(rows) == len(header) - 1
    names = header[1:] if labelled else header
    if len(rows) != len(names) or not names:
        raise InputError(
            f"{path}: expected an edge list with the columns lender,borrower,amount, or a square matrix; this has "
            f"{len(header)} columns ({', '.join(header[:4])}{', …' if len(header) > 4 else ''}) and {len(rows)} rows"
        )
    found = []
    for position, (number, cells) in enumerate(rows):
        _same_length(path, number, cells, header)
        lender = cells[0] if labelled else names[position]
        if lender not in names:
            raise InputError(f"{path}:{number}: the row {lender!r} is not among the columns. {nearest(lender, names)}")
        for borrower, cell in zip(names, cells[1:] if labelled else cells, strict=True):
            amount = _number(path, number, cell, borrower) if cell else 0.0
            found.append((number, lender, borrower, amount))
    return found


def scenarios(shocks: Sequence[str], institutions: Sequence[str]) -> list[Scenario]:
    """Read shocks: `all` (each alone, in full), `none`, `uniform=0.05`, or `CODE=1.0`, several joined by commas."""
    found: list[Scenario] = []
    for shock in shocks:
        if shock == "all":
            found += [Scenario(code, np.eye(1, len(institutions), i)[0]) for i, code in enumerate(institutions)]
        elif shock == "none":
            found.append(Scenario("none", np.zeros(len(institutions))))
        else:
            found.append(Scenario(shock, _shares(shock, institutions)))
    return found


def _shares(shock: str, institutions: Sequence[str]) -> Vector:
    shares = np.zeros(len(institutions))
    for part in shock.split(","):
        name, equals, text = part.rpartition("=")
        try:
            share = float(text)
        except ValueError:
            share = math.nan
        if not equals or not 0.0 <= share <= 1.0:
            raise InputError(
                f"the shock {part!r} is not understood: use all, uniform=0.05 or CODE=1.0, shares from 0 to 1"
            )
        if name == "uniform":
            shares[:] = share
        elif name in institutions:
            shares[list(institutions).index(name)] = share
        else:
            fix = nearest(name, institutions)
            raise InputError(f"the shock names {name!r}, which is no institution here. {fix}".strip())
    return shares


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for cells in (reader := csv.reader(file)):
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, [cell.strip() for cell in cells]
    except OSError as err:
        raise InputError(f"{path} can't be read: {err.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as err:
        raise InputError(f"{path} is not a CSV in UTF-8: {err}") from None


def _same_length(path: Path, number: int, cells: list[str], header: list[str]) -> None:
    if len(cells) != len(header):
        raise InputError(f"{path}:{number}: has {len(cells)} cells, the header {len(header)}")


def _number(path: Path, number: int, cell: str, name: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{path}:{number}: {name} is {cell!r}, expected a number")
    return value
