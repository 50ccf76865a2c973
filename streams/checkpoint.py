"""What makes an offset safe to commit: everything sent has arrived, and the state is in its table.

The order is what the guarantee rests on (`docs/guarantees.md`):

1. state is copied while nothing is applied, together with the offsets it contains;
2. everything sent until then is confirmed by the broker (`Outbox.confirm`), so state is never ahead of alerts;
3. the copied blocks are written to the changelog, then one record that lists them (`Keeper.write`);
4. only then may the offsets be committed.

A worker that was thought dead may wake and write old blocks over newer ones. `Keeper.load` sees that, because
each block says which offsets it contains and the partition's record says which each block should contain; it
then answers with an earlier offset to resume from, and the filings in between repair the state.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError
from faust.types import TP

from streams.columnar import ColumnarApp, StateTable, yield_to_loop

log = logging.getLogger("guanlan.worker")

BLOCKS = 64
APPLIED = b"applied"
ATTEMPTS = 5
PAUSE_SECONDS = 0.2

Offsets = dict[str, int]
"""By topic: the offset after the last record that is contained."""

Headers = Sequence[tuple[str, bytes]]


class Undelivered(Exception):
    """The broker did not take everything; the checkpoint is put off."""


@dataclass(slots=True)
class Letter:
    """One record under way. `bulky` says that the value may be left out when the broker finds it too large."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    bulky: bool = False
    arrival: asyncio.Future[Any] | None = None


class Outbox:
    """Sends without waiting, and remembers what has not arrived."""

    def __init__(self, app: ColumnarApp) -> None:
        self._app = app
        self._under_way: list[Letter] = []

    def __len__(self) -> int:
        return len(self._under_way)

    async def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = (), bulky: bool = False
    ) -> None:
        """Hand a record to the producer; `confirm` tells whether it arrived."""
        letter = Letter(topic, key, value, headers, bulky)
        await self._post(letter)
        self._under_way.append(letter)

    async def _post(self, letter: Letter) -> None:
        try:
            sent = await self._app.producer.send(
                letter.topic, letter.key, letter.value, None, None, list(letter.headers) or None
            )
            letter.arrival = cast("asyncio.Future[Any]", sent)
        except (ProducerSendError, KafkaError) as err:
            letter.arrival = asyncio.get_running_loop().create_future()
            letter.arrival.set_exception(err.__cause__ or err)

    def take(self) -> list[Letter]:
        """Return what is under way and forget it; give it to `confirm`."""
        letters, self._under_way = self._under_way, []
        return letters

    async def confirm(self, letters: list[Letter]) -> None:
        """Wait until the broker has all of them, sending again what failed.

        Raises Undelivered when the broker keeps refusing; the letters are then under way again.
        """
        failed = await _failed(letters)
        for attempt in range(ATTEMPTS):
            if not failed:
                return
            log.warning("%d records were not taken by the broker, sending again: %s", len(failed), failed[0][1])
            await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
            for letter, err in failed:
                if letter.bulky and letter.value and isinstance(err, MessageSizeTooLargeError):
                    letter.headers = [*letter.headers, ("left_out", str(len(letter.value)).encode())]
                    letter.value = b""
                await self._post(letter)
            failed = await _failed([letter for letter, _ in failed])
        self._under_way[:0] = [letter for letter, _ in failed]
        raise Undelivered(f"{len(failed)} records were not taken by the broker: {failed[0][1]}")


async def _failed(letters: Iterable[Letter]) -> list[tuple[Letter, BaseException]]:
    arrivals = [letter.arrival for letter in letters if letter.arrival is not None]
    if arrivals:
        await asyncio.wait(arrivals)
    return [(x, err) for x in letters if x.arrival is not None and (err := x.arrival.exception()) is not None]


class Block(msgspec.Struct, frozen=True, array_like=True):
    """A row of the table: the state of some institutions of one partition, and the offsets it contains."""

    contains: Offsets
    state: bytes


class Applied(msgspec.Struct, frozen=True, array_like=True):
    """The record of one partition: how far it is applied, and what each block should contain at least."""

    applied: Offsets
    blocks: dict[str, Offsets]


@dataclass(frozen=True, slots=True)
class Copy:
    """State copied for one checkpoint: by partition the blocks, and the partition's new record."""

    blocks: dict[int, dict[str, Block]]
    records: dict[int, Applied]


def block_of(code: str) -> str:
    """Return the block an institution's state is kept in: always the same for the same code.

    >>> block_of("CN001") == block_of("CN001")
    True
    """
    return f"{zlib.crc32(code.encode()) % BLOCKS:02x}"


@dataclass
class Keeper:
    """Keeps one agent's state in a table: knows which blocks changed, copies, writes and loads them.

    `topics` are the topics whose offsets the state contains; `export` returns the state of one block.
    """

    table: StateTable
    topics: frozenset[str]
    export: Callable[[int, str], bytes]
    dirty: dict[int, set[str]] = field(default_factory=dict)
    contains: dict[int, dict[str, Offsets]] = field(default_factory=dict)
    applied: dict[int, Offsets] = field(default_factory=dict)

    def mark(self, partition: int, block: str) -> None:
        """Note that a block changed since it was last written."""
        self.dirty.setdefault(partition, set()).add(block)

    def forget(self) -> None:
        """Drop everything: the partitions were revoked."""
        self.dirty.clear()
        self.contains.clear()
        self.applied.clear()

    async def copy(self, cut: Mapping[TP, int]) -> Copy:
        """Copy every changed block. Nothing may be applied meanwhile; `cut` is contained in the state."""
        now: dict[int, Offsets] = {}
        for tp, offset in cut.items():
            if tp.topic in self.topics:
                now.setdefault(tp.partition, {})[tp.topic] = offset
        blocks: dict[int, dict[str, Block]] = {}
        records: dict[int, Applied] = {}
        for partition, offsets in now.items():
            changed = self.dirty.pop(partition, set())
            if not changed and self.applied.get(partition) == offsets:
                continue
            copied = {}
            for name in sorted(changed):
                copied[name] = Block(offsets, self.export(partition, name))
                await yield_to_loop()
            held = self.contains.setdefault(partition, {})
            held.update(dict.fromkeys(copied, offsets))
            blocks[partition] = copied
            records[partition] = Applied(offsets, dict(held))
        return Copy(blocks, records)

    async def write(self, copy: Copy) -> int:
        """Write a copy, each partition's record after its blocks; return the bytes written."""
        written = 0
        sent: list[Awaitable[Any]] = []
        for partition, blocks in copy.blocks.items():
            for name, block in blocks.items():
                value = msgspec.msgpack.encode(block)
                written += len(value)
                sent.append(self.table.put(partition, _key(partition, name), value))
        await asyncio.gather(*sent)
        records = {p: msgspec.msgpack.encode(r) for p, r in copy.records.items()}
        await asyncio.gather(*(self.table.put(p, _key(p, APPLIED.decode()), r) for p, r in records.items()))
        self.applied.update({p: r.applied for p, r in copy.records.items()})
        return written + sum(map(len, records.values()))

    def undo(self, copy: Copy) -> None:
        """A copy could not be written: its blocks count as changed again."""
        for partition, blocks in copy.blocks.items():
            for name in blocks:
                self.mark(partition, name)

    def load(self, partition: int) -> tuple[dict[str, bytes], Offsets]:
        """Return the state by block, and the offsets to resume from at the latest.

        Without the partition's record nothing is known of the state, so that is from the beginning.
        """
        blocks: dict[str, Block] = {}
        record: Applied | None = None
        for key, value in self.table.rows(partition):
            name = key.partition(b"/")[2]
            if name == APPLIED:
                record = msgspec.msgpack.decode(value, type=Applied)
            else:
                blocks[name.decode()] = msgspec.msgpack.decode(value, type=Block)
        found = {name: block.contains for name, block in blocks.items()}
        self.contains[partition] = found
        states = {name: block.state for name, block in blocks.items()}
        if record is None:
            return states, dict.fromkeys(self.topics, 0)
        return states, resume_from(record, found)


def _key(partition: int, name: str) -> bytes:
    return f"{partition}/{name}".encode()


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
