"""The state that workers keep, read from outside: what their changelogs hold, put into an engine of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rules.checkpoint import restore_pieces
from rules.engine import Engine
from rules.pack import Program
from rules.registry import Institution
from streams.checkpoint import Keeper
from streams.clients import read_to_end
from streams.place import STATE_OF_FILINGS, STATE_OF_SYSTEM, Place

GROUP_LETTERS = 2
"""Names of groups of institutions have so many; what else the system side keeps has longer names."""


class Rows:
    """A changelog read back: the newest row of every key."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog; without a value its row is gone."""
        self._rows.pop(key, None)
        if value is not None:
            self._rows[key] = value

    def rows(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield rows as a state table does; the partition is in the keys."""
        yield from sorted(row for row in self._rows.items() if row[0].startswith(prefix))


def kept_by_watchers(place: Place, program: Program, institutions: Iterable[Institution]) -> Engine | None:
    """Return an engine of the program's watch part with the state of all institutions.

    None where no worker of the group has kept any. Raises ServiceError when the broker does not answer.
    """
    engine = Engine(program.at("watch"), institutions)
    return _filled(engine, place, STATE_OF_FILINGS, place.partitions)


def kept_by_system(place: Place, program: Program, institutions: Iterable[Institution]) -> Engine | None:
    """Return the same of the program's system part."""
    engine = Engine(program.at("system"), institutions)
    return _filled(engine, place, STATE_OF_SYSTEM, 1)


def _filled(engine: Engine, place: Place, name: str, partitions: int) -> Engine | None:
    rows = Rows()
    for record in read_to_end(place.bootstrap, place.changelog(name)):
        rows.put(record.key or b"", record.value)
    keeper = Keeper(rows, frozenset(), None)  # type: ignore[arg-type]
    for partition in range(partitions):
        for block in keeper.load(partition):
            if block.parts is None:
                continue
            if name == STATE_OF_FILINGS:
                restore_pieces(engine, block.state, block.parts.values())
                continue
            for group, state in (block.parts or {block.name: block.state}).items():
                if len(group) == GROUP_LETTERS:
                    engine.restore(state)
    return engine if len(rows) else None
