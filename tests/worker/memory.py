"""Sides of a worker in this process: a state table in memory, a watch side over a small catalogue, filings for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from faust.types import TP

from rules.catalogue import load_catalogue
from rules.pack import PackText, Program, compile_packs
from streams.fetching import Record
from streams.kept import Rows
from streams.side import Side
from streams.watch import Watch
from tests.worker.test_system_side import NAMES, SystemSide, banks
from tests.worker.test_system_side import side as system_side

S = TypeVar("S", bound=Side[Any])
FORM = "cn.liquidity.d"
CATALOGUE = load_catalogue(["cn"])


class MemoryTable:
    """A state table whose changelog takes everything at once."""

    def __init__(self) -> None:
        self._rows = Rows()

    def put(self, partition: int, key: bytes, value: bytes | None) -> asyncio.Future[int]:
        """Write a row."""
        self._rows.put(key, value)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        done.set_result(0)
        return done

    def remove(self, partition: int, key: bytes) -> asyncio.Future[int]:
        """Delete a row."""
        return self.put(partition, key, None)

    async def ready(self) -> None:
        """Wait for nothing."""

    def rows(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield rows as a state table does."""
        return self._rows.rows(partition, prefix)


def lcr_below(percent: int) -> Program:
    """Return a program of one rule on each bank."""
    text = f"""
pack: p
version: "{percent}"
title: {{en: P}}
catalogue: [cn]
rules:
  - id: p.lcr
    title: {{en: L}}
    levels: {{watch: lcr < {percent}%}}
    message: {{en: "m"}}
"""
    return compile_packs([PackText(text, "p.yaml")], CATALOGUE)


def table() -> Any:
    """Return a table in memory."""
    return MemoryTable()


def watch(program: Program) -> Watch:
    """Return a watch side over six banks; `opened` gives it its partition."""
    return Watch(program, banks(), table(), "filings", NAMES, 1, 1_000_000)


def system() -> SystemSide:
    """Return a system side over the same banks, with a table."""
    made = system_side()
    made.keeper.table = table()
    return made


async def opened(made: S) -> S:
    """Open a side's only partition."""
    await made.open(frozenset({0}))
    return made


def filing(offset: int, as_of: str, **values: float) -> Record:
    """Return the first bank's daily liquidity form; indicators that are not named are missing."""
    body = {
        "institution": "CN001",
        "form": FORM,
        "as_of": as_of,
        "submitted_at": f"{as_of}T10:00:00Z",
        "values": dict.fromkeys(CATALOGUE.reported(FORM)) | values,
    }
    return Record("filings", 0, offset, 0, b"CN001", json.dumps(body).encode())


async def checkpoint(side: Side[Any], cut: dict[TP, int]) -> None:
    """Save what changed."""
    copy = side.keeper.begin(cut)
    side.keeper.go_on(copy)
    await side.keeper.write(copy)


def take(side: Side[Any], records: Sequence[Record]) -> Any:
    """Apply records; return the effects."""
    return side.apply(side.read(records))
