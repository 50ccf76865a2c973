"""Parts of filings until all of them are there: rows of a long table, and rows or files that a mapping says to merge.

Nothing says that the parts of one filing stand together. So they are collected; what is more than the memory is to hold
waits in a temporary file, and each filing is put together from its pieces at the end.
"""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import numpy as np

from streams.wire import Reason, Rejection, from_seconds, to_seconds

HELD = 500_000
"""Values that are held in memory at once."""

Key = tuple[str, ...]
Head = dict[str, Any]


class Whole(NamedTuple):
    """A filing of all its parts, at the place of its first, or why there is none."""

    file: str
    row: int
    head: Head
    values: dict[str, Any]
    problem: Rejection | None


_Place = tuple[str, int, int]


@dataclass(slots=True)
class _Piece:
    """The parts of one filing that came while they were held together.

    `places` tells each value's file and row, and when it came; `wrong` is the earliest contradiction, and when it came.
    """

    rank: int
    file: str
    row: int
    head: Head
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, _Place] = field(default_factory=dict)
    wrong: tuple[int, str] | None = None

    def contradicted(self, when: int, detail: str) -> None:
        """Note a contradiction, unless an earlier one is known."""
        if self.wrong is None or when < self.wrong[0]:
            self.wrong = (when, detail)


def key_of(head: Head) -> Key:
    """Return what makes a filing the same: form, institution, as-of date and revision."""
    as_of, revision = _moment(str(head.get("as_of", ""))), str(head.get("revision", 0))
    return str(head.get("form", "")), str(head.get("institution", "")), as_of, revision


@lru_cache(maxsize=10_000)
def _moment(text: str) -> str:
    try:
        return from_seconds(to_seconds(text))
    except ValueError:
        return text


class Parts:
    """Collects parts. With `merge`, parts may come at other times and say a value again; else that is refused."""

    def __init__(self, merge: bool = False, held: int = HELD) -> None:
        self.merge = merge
        self._most = held
        self._count = 0
        self._rank = 0
        self._when = 0
        self._pieces: dict[Key, _Piece] = {}
        self._file: Any = None
        self._digests = bytearray()
        self._ranks, self._offsets, self._lengths = array("q"), array("q"), array("q")

    def add(self, key: Key, file: str, row: int, head: Head, values: dict[str, Any]) -> None:
        """Take in a part."""
        piece = self._pieces.get(key)
        if piece is None:
            piece = self._pieces[key] = _Piece(self._rank, file, row, head)
            self._rank += 1
        elif head is not piece.head:
            self._join_heads(piece, head, file, row, self._when)
        for name, value in values.items():
            self._put(piece, name, value, (file, row, self._when))
        self._when += 1
        self._count += len(values)
        if self._count >= self._most:
            self._spill()

    def all(self) -> Iterator[Whole]:
        """Yield the filings, in the order in which their first parts came, and forget them."""
        if self._file is None:
            for piece in self._pieces.values():
                yield _whole(piece)
        else:
            self._spill()
            for places in self._together():
                first, *rest = (self._load(place) for place in places)
                for piece in rest:
                    when = min((place[2] for place in piece.places.values()), default=0)
                    self._join_heads(first, piece.head, piece.file, piece.row, when)
                    for name, value in piece.values.items():
                        self._put(first, name, value, piece.places[name])
                    if piece.wrong is not None:
                        first.contradicted(*piece.wrong)
                yield _whole(first)
            self._file.close()
        self.__init__(self.merge, self._most)  # type: ignore[misc]

    def _join_heads(self, piece: _Piece, head: Head, file: str, row: int, when: int) -> None:
        old, new = piece.head.get("submitted_at"), head.get("submitted_at")
        if old == new:
            return
        if self.merge:
            if _later(new, old):
                piece.head = {**piece.head, "submitted_at": new}
        else:
            piece.contradicted(
                when,
                f"'submitted_at' is {old} in {_place(piece.file, piece.row)} and {new} in {_place(file, row)};"
                " parts that came at different times are put together with `merge: true` in the mapping",
            )

    def _put(self, piece: _Piece, name: str, value: Any, place: _Place) -> None:
        if name not in piece.places:
            piece.values[name], piece.places[name] = value, place
        elif self.merge and _same(piece.values[name], value):
            if piece.values[name] is None:
                piece.values[name], piece.places[name] = value, place
        else:
            both = _both(piece.places[name], place)
            _, institution, as_of, _ = key_of(piece.head)
            piece.contradicted(place[2], f"{name} stands twice for {institution} at {as_of} ({both})")

    def _spill(self) -> None:
        """Write what is held to the temporary file."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
        for key, piece in self._pieces.items():
            told = (piece.rank, piece.file, piece.row, piece.head, piece.values, piece.places, piece.wrong)
            record = msgspec.json.encode(told)
            self._digests += blake2b("\0".join(key).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            self._ranks.append(piece.rank)
            self._offsets.append(self._file.tell())
            self._lengths.append(len(record))
            self._file.write(record)
        self._pieces.clear()
        self._count = 0

    def _together(self) -> Iterator[list[int]]:
        """Yield the places of the pieces of each filing, in the order of their first."""
        digests = np.frombuffer(bytes(self._digests), np.uint64).reshape(-1, 2)
        ranks = np.frombuffer(self._ranks, np.int64)
        order = np.lexsort((ranks, digests[:, 1], digests[:, 0]))
        new = np.ones(len(order), bool)
        new[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
        starts = np.flatnonzero(new)
        ends = np.append(starts[1:], len(order))
        for group in np.argsort(ranks[order[starts]], kind="stable").tolist():
            yield order[starts[group] : ends[group]].tolist()

    def _load(self, place: int) -> _Piece:
        self._file.seek(self._offsets[place])
        told = json.loads(self._file.read(self._lengths[place]), parse_constant=lambda word: msgspec.Raw(word.encode()))
        rank, file, row, head, values, places, wrong = told
        return _Piece(rank, file, row, head, values, places, wrong)


def _whole(piece: _Piece) -> Whole:
    problem = Rejection(Reason.WRONG_SHAPE, piece.wrong[1]) if piece.wrong else None
    values = {name: value for name, value in piece.values.items() if value is not None}
    return Whole(piece.file, piece.row, piece.head, values, problem)


def _same(one: Any, other: Any) -> bool:
    return one is None or other is None or (type(one) is type(other) and one == other)


def _later(one: Any, other: Any) -> bool:
    try:
        return to_seconds(one) > to_seconds(other)
    except (ValueError, TypeError):
        return False


def _place(file: str, row: int) -> str:
    return f"{file} row {row}"


def _both(one: _Place, other: _Place) -> str:
    if one[0] == other[0]:
        return f"rows {one[1]} and {other[1]}"
    return f"{_place(*one[:2])} and {_place(*other[:2])}"
