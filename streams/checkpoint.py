"""What makes an offset safe to commit: everything sent has arrived, and the state is in its table.

The order is what the guarantee rests on (`docs/guarantees.md`):

1. changed state is copied, block by block, with offsets that all of it contains; a block may contain more;
2. everything sent until the last block was copied is confirmed by the broker (`streams.outbox`), so state is never
   ahead of alerts;
3. the copied blocks are written to the changelog, then one record that lists them (`Keeper.write`);
4. only then may the offsets be committed.

A block may have parts, so that a change of one does not cost writing all: rows of their own, of which a new version
gets a new key. Parts are most of the state, so they are written as they are copied: nobody holds a copy of all of them,
and they do not fall on the broker and the disk at once. The block's row names the versions that belong to it and is
written when all are there, so that it and its parts change together; versions that no block names any more are deleted
at the checkpoint after that.

A worker that was thought dead may wake and write old blocks over newer ones. `Keeper.load` sees that, because
each block says which offsets it contains and the partition's record says which each block should contain; it
then answers with an earlier offset to resume from, and the filings in between repair the state.
"""

from __future__ import annotations

import asyncio
import secrets
import zlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

import msgspec
from faust.types import TP

from streams.columnar import StateTable
from streams.stages import busy
from streams.turns import Turns

BLOCKS = 16
APPLIED = b"applied"

Offsets = dict[str, int]
"""By topic: the offset after the last record that is contained."""


class Block(msgspec.Struct, frozen=True, array_like=True):
    """A row of the table: the state of some institutions of one partition, and the offsets it contains.

    `parts` names the version of each part that belongs to it.
    """

    contains: Offsets
    state: bytes
    parts: dict[str, str] = {}


class Applied(msgspec.Struct, frozen=True, array_like=True):
    """The record of one partition: how far it is applied, and what each block should contain at least.

    `topics` are the ids of the topics whose offsets these are; those that the broker does not tell are not there.
    """

    applied: Offsets
    blocks: dict[str, Offsets]
    topics: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Piece:
    """A block copied for one checkpoint: the versions of its parts that are new, and of those that stay."""

    state: bytes
    fresh: dict[str, str]
    stay: dict[str, str]

    @property
    def parts(self) -> dict[str, str]:
        """The version of each part."""
        return self.stay | self.fresh


@dataclass(slots=True)
class Copy:
    """State copied for one checkpoint: by partition its offsets, the blocks, and the partition's new record.

    `waiting` are blocks yet to be copied, with the parts of them that changed; `sent` are the parts that were copied,
    on their way to the changelog. `size` counts the bytes of state.
    """

    offsets: dict[int, Offsets] = field(default_factory=dict)
    blocks: dict[int, dict[str, Piece]] = field(default_factory=dict)
    records: dict[int, Applied] = field(default_factory=dict)
    waiting: list[tuple[int, str, set[str]]] = field(default_factory=list)
    sent: list[Awaitable[Any]] = field(default_factory=list)
    size: int = 0

    def pieces(self) -> Iterator[tuple[int, str, Piece]]:
        """Yield partition, name and piece of each block."""
        for partition, blocks in self.blocks.items():
            for name, piece in blocks.items():
                yield partition, name, piece


@dataclass(frozen=True, slots=True)
class Loaded:
    """A block as it was found; `parts` is None when one that belongs to it is not there."""

    name: str
    state: bytes
    parts: dict[str, bytes] | None


class Source(Protocol):
    """Who has the state that a keeper keeps."""

    def export(self, partition: int, block: str) -> bytes:
        """Return the state of one block, without its parts."""

    def parts(self, partition: int, block: str) -> Collection[str]:
        """Return the names of the parts that the block has now."""

    def export_part(self, partition: int, block: str, part: str) -> bytes:
        """Return the state of a part."""


def block_of(code: str) -> str:
    """Return the block an institution's state is kept in: always the same for the same code.

    >>> block_of("CN001") == block_of("CN001")
    True
    """
    return f"{zlib.crc32(code.encode()) % BLOCKS:02x}"


def _untold(_: float) -> None:
    """Do nothing: nobody asked."""


@dataclass
class Keeper:
    """Keeps one agent's state in a table: knows which blocks changed, copies, writes and loads them.

    `topics` are the topics whose offsets the state contains, `ids` those of topics; `source` has the state. `spent` is
    told the processor seconds that copying and writing take. `garbage` are keys of versions of parts that no block
    names.
    """

    table: StateTable
    topics: frozenset[str]
    source: Source
    spent: Callable[[float], None] = _untold
    ids: Mapping[str, str] = field(default_factory=dict)
    dirty: dict[int, dict[str, set[str]]] = field(default_factory=dict)
    contains: dict[int, dict[str, Offsets]] = field(default_factory=dict)
    applied: dict[int, Offsets] = field(default_factory=dict)
    written: dict[tuple[int, str], dict[str, str]] = field(default_factory=dict)
    garbage: dict[int, set[bytes]] = field(default_factory=dict)
    _found: dict[int, Applied | None] = field(default_factory=dict)

    def mark(self, partition: int, block: str, *parts: str) -> None:
        """Note that a block, and these of its parts, changed since they were last written."""
        self.dirty.setdefault(partition, {}).setdefault(block, set()).update(parts)

    def mark_whole(self, partition: int, block: str) -> None:
        """Note that a block and all of its parts changed."""
        self.mark(partition, block, *self.written.get((partition, block), {}))

    def forget(self) -> None:
        """Drop everything: the partitions were revoked."""
        for kept in (self.dirty, self.contains, self.applied, self.written, self.garbage, self._found):
            kept.clear()

    def begin(self, cut: Mapping[TP, int]) -> Copy:
        """Begin a copy of every changed block; `cut` is contained in the state. `go_on` copies."""
        now: dict[int, Offsets] = {}
        for tp, offset in cut.items():
            if tp.topic in self.topics:
                now.setdefault(tp.partition, {})[tp.topic] = offset
        copy = Copy()
        for partition, offsets in now.items():
            changed = self.dirty.pop(partition, {})
            if changed or self.applied.get(partition) != offsets:
                copy.offsets[partition], copy.blocks[partition] = offsets, {}
                copy.waiting.extend((partition, *marked) for marked in sorted(changed.items(), reverse=True))
        return copy

    def go_on(self, copy: Copy, seconds: float = inf) -> bool:
        """Copy blocks for about so long, at least one, and write their parts; return whether all are copied.

        Filings may be applied between two calls: a block that is copied later contains more than the cut, and what
        it contains is known when it is read again.
        """
        began = spent = busy()
        while copy.waiting:
            partition, name, parts = copy.waiting.pop()
            parts |= self.dirty.get(partition, {}).pop(name, set())
            copy.blocks[partition][name] = self._piece(copy, partition, name, parts)
            spent = busy()
            if spent - began >= seconds:
                break
        self.spent(spent - began)
        if copy.waiting:
            return False
        for partition, offsets in copy.offsets.items():
            held = self.contains.setdefault(partition, {})
            held.update(dict.fromkeys(copy.blocks[partition], offsets))
            ids = {topic: ident for topic, ident in self.ids.items() if topic in self.topics}
            copy.records[partition] = Applied(offsets, dict(held), ids)
        return True

    def _piece(self, copy: Copy, partition: int, block: str, changed: set[str]) -> Piece:
        there = frozenset(self.source.parts(partition, block))
        written = self.written.get((partition, block), {})
        stay = {part: written[part] for part in sorted(there & written.keys() - changed)}
        fresh = {part: secrets.token_hex(4) for part in sorted(there - stay.keys())}
        for part, version in fresh.items():
            key, value = _part_key(partition, block, part, version), self.source.export_part(partition, block, part)
            self.garbage.setdefault(partition, set()).add(key)  # until the block names it
            copy.sent.append(self.table.put(partition, key, value))
            copy.size += len(value)
        state = self.source.export(partition, block)
        copy.size += len(state)
        return Piece(state, fresh, stay)

    async def write(self, copy: Copy, turns: Turns | None = None) -> int:
        """Write a copy: blocks, when their parts are there, then each partition's record; return the bytes written.

        Raises Undelivered where the broker did not take all of it.
        """
        turns = turns or Turns()
        spare = self._spare(copy)
        await asyncio.gather(*copy.sent)
        sent = []
        for partition, name, piece in copy.pieces():
            began = busy()
            value = msgspec.msgpack.encode(Block(copy.offsets[partition], piece.state, piece.parts))
            sent.append(self.table.put(partition, _key(partition, name), value))
            self.spent(busy() - began)
            await self.table.ready()
            await turns.take(len(value))
        await asyncio.gather(*sent)
        for partition, name, piece in copy.pieces():
            self._named(partition, name, piece.parts)
        return copy.size + await self._write_records(copy, spare, turns)

    def _spare(self, copy: Copy) -> dict[int, frozenset[bytes]]:
        """Return what may be deleted when this copy is written: what the one before it did not name any more.

        What this one ceases to name stays until the next. A worker that was thought dead and ends its last checkpoint
        deletes nothing then that the new owner's blocks name.
        """
        spare: dict[int, frozenset[bytes]] = {}
        for p, blocks in copy.blocks.items():
            new = {_part_key(p, name, *named) for name, piece in blocks.items() for named in piece.fresh.items()}
            spare[p] = frozenset(self.garbage.get(p, set()) - new)
        return spare

    def _named(self, partition: int, block: str, parts: dict[str, str]) -> None:
        """Note what a block names now. State may have been loaded anew since its parts were written."""
        garbage = self.garbage.setdefault(partition, set())
        before = self.written.get((partition, block), {})
        garbage |= {_part_key(partition, block, *named) for named in before.items() - parts.items()}
        garbage -= {_key(partition, block), *(_part_key(partition, block, *named) for named in parts.items())}
        self.written[partition, block] = parts

    async def _write_records(self, copy: Copy, spare: Mapping[int, frozenset[bytes]], turns: Turns) -> int:
        records = {p: msgspec.msgpack.encode(r) for p, r in copy.records.items()}
        sent = [self.table.put(p, _key(p, APPLIED.decode()), r) for p, r in records.items()]
        garbage = {p: keys & self.garbage.get(p, set()) for p, keys in spare.items()}
        for p, keys in garbage.items():
            for key in sorted(keys):
                sent.append(self.table.remove(p, key))
                await turns.take()
        await asyncio.gather(*sent)
        for p, keys in garbage.items():
            self.garbage.get(p, set()).difference_update(keys)
        self.applied.update({p: r.applied for p, r in copy.records.items()})
        return sum(map(len, records.values()))

    def undo(self, copy: Copy) -> None:
        """A copy could not be written: its blocks count as changed again."""
        for partition, blocks in copy.blocks.items():
            for name, piece in blocks.items():
                self.mark(partition, name, *piece.fresh)

    def load(self, partition: int) -> Iterator[Loaded]:
        """Yield the blocks of a partition; when that is done, `resume` says from where to go on."""
        blocks: dict[str, Block] = {}
        record: Applied | None = None
        for key, value in self.table.rows(partition, _key(partition, "")):
            name = key.partition(b"/")[2]
            if name == APPLIED:
                record = msgspec.msgpack.decode(value, type=Applied)
            else:
                blocks[name.decode()] = msgspec.msgpack.decode(value, type=Block)
        self.contains[partition] = {name: block.contains for name, block in blocks.items()}
        self._found[partition] = record
        for name, block in blocks.items():
            wanted = {_part_key(partition, name, *named): named[0] for named in block.parts.items()}
            found: dict[str, bytes] = {}
            for key, value in self.table.rows(partition, _part_key(partition, name)):
                if key in wanted:
                    found[wanted[key]] = value
                else:
                    self.garbage.setdefault(partition, set()).add(key)
            complete = len(found) == len(wanted)
            if not complete:
                left = (_part_key(partition, name, part, block.parts[part]) for part in found)
                self.garbage.setdefault(partition, set()).update(left)
            self.written[partition, name] = dict(block.parts) if complete else {}
            yield Loaded(name, block.state, found if complete else None)

    def made_from(self, partition: int) -> Mapping[str, str]:
        """Return the ids of the topics that the state of a partition was made from, as far as that was kept."""
        record = self._found[partition]
        return {} if record is None else record.topics

    def discard(self, partition: int, block: str) -> None:
        """Delete a block that can't be used, and its parts, at the next checkpoint, unless that writes it anew."""
        parts = self.written.pop((partition, block), {})
        self.contains[partition].pop(block, None)
        garbage = self.garbage.setdefault(partition, set())
        garbage |= {_key(partition, block), *(_part_key(partition, block, *named) for named in parts.items())}

    def resume(self, partition: int) -> Offsets:
        """Return the offsets to resume from at the latest, once `load` is done.

        Without the partition's record nothing is known of the state, so that is from the beginning.
        """
        record = self._found[partition]
        return dict.fromkeys(self.topics, 0) if record is None else resume_from(record, self.contains[partition])


def _key(partition: int, name: str) -> bytes:
    return f"{partition}/{name}".encode()


def _part_key(partition: int, block: str, part: str = "", version: str = "") -> bytes:
    """Return the key of a version of a part; without one, what all keys of parts of the block begin with."""
    return f"{partition}~{block}/{part}{version and '/'}{version}".encode()


def resume_from(record: Applied, found: Mapping[str, Offsets]) -> Offsets:
    """Return how far the state as a whole is good: the record's offsets, unless a block is older than listed.

    >>> record = Applied({"filings": 90}, {"00": {"filings": 80}, "01": {"filings": 40}})
    >>> resume_from(record, {"00": {"filings": 80}, "01": {"filings": 40}})
    {'filings': 90}
    >>> resume_from(record, {"00": {"filings": 60}, "01": {"filings": 40}})
    {'filings': 60}
    """
    good = dict(record.applied)
    for name in found.keys() | record.blocks.keys():
        for topic, applied in record.applied.items():
            has = found.get(name, {}).get(topic, 0)
            listed = record.blocks.get(name, {}).get(topic, applied)
            if has < listed:
                good[topic] = min(good[topic], has)
    return good
