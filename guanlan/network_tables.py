"""Networks, balance sheets and shocks for the systemic commands, read from CSV with an error for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from guanlan.decimals import plain_number
from rules.problems import InputError, nearest
from streams.read_csv import csv_lines

if TYPE_CHECKING:
    from systemic.arrays import Sparse, Vector

EDGES = ("lender", "borrower", "amount")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Balance sheets: institutions in the file's order, columns of numbers by name, and columns that are text.

    `faults` says of a text column where its first cell is that is no number.
    """

    file: str
    institutions: tuple[str, ...]
    columns: dict[str, Vector]
    texts: dict[str, tuple[str, ...]]
    faults: dict[str, str]

    def column(self, name: str, default: float | None = None) -> Vector:
        """Return a column of numbers; InputError when it is text, or not there and without default."""
        if name in self.columns:
            return self.columns[name]
        if name in self.faults:
            raise InputError(self.faults[name])
        if default is None:
            fix = nearest(name, self.columns)
            raise InputError(f"{self.file} needs a column {name!r}. {fix}".strip())
        return np.full(len(self.institutions), default)

    def members(self, column: str, value: str) -> list[int]:
        """Return who has `value` in a column of text, as positions; InputError when nobody has or it is not there."""
        if column not in self.texts:
            fix = nearest(column, self.texts) or f"Columns of text: {', '.join(self.texts) or 'none'}"
            raise InputError(f"{self.file} has no column of text {column!r} to make groups of. {fix}")
        found = [i for i, text in enumerate(self.texts[column]) if text == value]
        if not found:
            fix = nearest(value, set(self.texts[column]))
            raise InputError(f"{self.file}: nobody has {value!r} in the column {column!r}. {fix}".strip())
        return found


@dataclass(frozen=True, slots=True)
class Scenario:
    """A shock with a name: shares lost by institution, and what is lost beside them in currency.

    `alone` is the one institution that loses everything; then there is nothing else. `parts` are shares and losses.
    """

    name: str
    size: int
    alone: int | None = None
    parts: tuple[Vector, Vector] | None = None

    @property
    def shares(self) -> Vector:
        """The share lost by each institution (float64[n])."""
        if self.parts is not None:
            return self.parts[0]
        lost = np.zeros(self.size)
        if self.alone is not None:
            lost[self.alone] = 1.0
        return lost

    @property
    def losses(self) -> Vector:
        """What each institution loses beside that, in currency (float64[n])."""
        return np.zeros(self.size) if self.parts is None else self.parts[1]


def read_sheet(path: Path, *, numbers: bool = False) -> Sheet:
    """Read balance sheets: a column `institution`, columns of numbers, and columns of text, like a name or a group.

    With `numbers` every other column must be of numbers. InputError says file, line and what is wrong.
    """
    lines = _lines(path)
    number, header = next(lines, (0, []))
    if "institution" not in header:
        raise InputError(f"{path}: needs a column 'institution'; it has {', '.join(header) or 'nothing'}")
    if len(set(header)) < len(header):
        raise InputError(f"{path} has two columns {next(h for h in header if header.count(h) > 1)!r}")
    rows: dict[str, tuple[int, list[str]]] = {}
    where = header.index("institution")
    for number, cells in lines:
        _same_length(path, number, cells, header)
        if cells[where] in rows:
            raise InputError(f"{path}:{number}: {cells[where]!r} stands twice")
        rows[cells[where]] = number, cells
    columns: dict[str, Vector] = {}
    texts: dict[str, tuple[str, ...]] = {}
    faults: dict[str, str] = {}
    for at, name in enumerate(header):
        if at == where:
            continue
        try:
            columns[name] = np.array([_number(path, line, cells[at], name) for line, cells in rows.values()])
        except InputError as err:
            if numbers:
                raise
            texts[name] = tuple(cells[at] for _, cells in rows.values())
            faults[name] = str(err)
    return Sheet(str(path), tuple(rows), columns, texts, faults)


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


def scenarios(shocks: Sequence[str], sheet: Sheet, holdings: Sheet | None = None) -> list[Scenario]:
    """Read shocks: `all` (each alone, in full), `none`, or parts joined by commas.

    A part is `uniform=0.05`, `CODE=1.0`, `COLUMN:TEXT=0.5` (everybody with that text in the balance sheets' column),
    or `asset:CLASS=0.1` (the loss of a tenth of what is held of a column of `holdings`).
    """
    size = len(sheet.institutions)
    found: list[Scenario] = []
    for shock in shocks:
        if shock == "all":
            found += [Scenario(code, size, alone=i) for i, code in enumerate(sheet.institutions)]
        elif shock == "none":
            found.append(Scenario("none", size))
        else:
            found.append(Scenario(shock, size, parts=_parts(shock, sheet, holdings)))
    return found


def _parts(shock: str, sheet: Sheet, holdings: Sheet | None) -> tuple[Vector, Vector]:
    shares, losses = np.zeros(len(sheet.institutions)), np.zeros(len(sheet.institutions))
    for part in shock.split(","):
        name, equals, text = part.strip().rpartition("=")
        try:
            share = plain_number(text)
        except ValueError:
            share = math.nan
        if not equals or not 0.0 <= share <= 1.0:
            raise InputError(
                f"the shock {part!r} is not understood: use all, uniform=0.05 or CODE=1.0, shares from 0 to 1"
            )
        column, colon, value = name.partition(":")
        if name in sheet.institutions:
            shares[sheet.institutions.index(name)] = share
        elif name == "uniform":
            shares[:] = share
        elif colon and column == "asset":
            losses += share * _held(value, sheet, holdings)
        elif colon:
            shares[sheet.members(column, value)] = share
        else:
            fix = nearest(name, sheet.institutions)
            raise InputError(f"the shock names {name!r}, which is no institution here. {fix}".strip())
    return shares, losses


def _held(asset: str, sheet: Sheet, holdings: Sheet | None) -> Vector:
    """What each institution holds of an asset class (float64[n]); 0 of one that the holdings do not name."""
    if holdings is None:
        raise InputError(f"a shock to the asset class {asset!r} needs --holdings")
    held = dict(zip(holdings.institutions, holdings.column(asset).tolist(), strict=True))
    for code, amount in held.items():
        if code not in sheet.institutions:
            raise InputError(
                f"{holdings.file}: {code!r} has no balance sheet. {nearest(code, sheet.institutions)}".strip()
            )
        if amount < 0.0:
            raise InputError(f"{holdings.file}: {code!r} holds {amount:g} of {asset!r}, which is below zero")
    return np.array([held.get(code, 0.0) for code in sheet.institutions])


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, cells in csv_lines(path):
        yield number, [cell.strip() for cell in cells]


def _same_length(path: Path, number: int, cells: list[str], header: list[str]) -> None:
    if len(cells) != len(header):
        raise InputError(f"{path}:{number}: has {len(cells)} cells, the header {len(header)}")


def _number(path: Path, number: int, cell: str, name: str) -> float:
    try:
        return plain_number(cell)
    except ValueError as err:
        raise InputError(f"{path}:{number}: {name} {err}") from None
