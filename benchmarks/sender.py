"""`python -m benchmarks.sender ORDER`: send filings that are encoded beforehand, at once or on a fixed schedule.

It prints `ready` when all is encoded, waits for a line on standard input, sends, and prints what it did as JSON.
With a rate the times are fixed in advance (open loop): a filing that could not be sent in time is sent as soon as
possible, and its waiting counts, because readers count from the scheduled time.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import msgspec
from confluent_kafka import Producer

from benchmarks.feed import feed
from benchmarks.jobs import Job

LEAD_SECONDS = 0.2
LONGEST = 240
TURN_SECONDS = 0.002  # a sender that wakes for each filing takes the cores from those that are measured


class Order(msgspec.Struct, frozen=True):
    """What to send: `count` filings from date `turn` on; `rate` filings a second, 0 for all at once."""

    bootstrap: str
    topic: str
    name: str
    institutions: int
    indicators: int
    turn: int
    count: int
    rate: float = 0.0


class Sent(msgspec.Struct, frozen=True):
    """Unix times: the first filing's (scheduled) time, the last one handed over, the last one confirmed."""

    first: float
    last: float
    confirmed: float
    latest: float
    cpu: float


def main(order: Order) -> None:
    """Encode, wait for the word, send."""
    job = Job(order.name, order.institutions, order.indicators, 1, order.count)
    turns = -(-order.count // order.institutions)
    every = (record for turn in range(order.turn, order.turn + turns) for record in feed(job, turn))
    records = list(islice(every, order.count))
    producer = Producer(
        {
            "bootstrap.servers": order.bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "batch.size": 1 << 20,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1 << 20,
        }
    )
    producer.list_topics(order.topic, 10)
    gc.freeze()
    gc.disable()
    print("ready", flush=True)
    if not sys.stdin.readline():
        raise SystemExit("nobody gave the word")
    used = time.process_time()
    sent = on_time(producer, order, records) if order.rate else at_once(producer, order, records)
    if len(producer):
        raise SystemExit(f"{len(producer)} filings were not taken")
    print(msgspec.json.encode(msgspec.structs.replace(sent, cpu=time.process_time() - used)).decode(), flush=True)


def at_once(producer: Producer, order: Order, records: list[tuple[bytes, bytes]]) -> Sent:
    """Send everything as fast as the broker takes it."""
    first = time.time()
    for key, value in records:
        while True:
            try:
                producer.produce(order.topic, value, key)
                break
            except BufferError:
                producer.poll(0.001)
    last = time.time()
    producer.flush(60)
    return Sent(first, last, time.time(), 0.0, 0.0)


def on_time(producer: Producer, order: Order, records: list[tuple[bytes, bytes]]) -> Sent:
    """Send each filing when it is due."""
    first = time.time() + LEAD_SECONDS
    step, latest, done = 1 / order.rate, 0.0, 0
    while done < len(records):
        now = time.time()
        due = min(len(records), int((now - first) * order.rate) + 1) if now >= first else 0
        if due > done:
            latest = max(latest, now - (first + done * step))
            for key, value in records[done:due]:
                producer.produce(order.topic, value, key)
            done = due
            producer.poll(0)
        else:
            time.sleep(max(TURN_SECONDS, min(0.005, first + done * step - now)))
    last = time.time()
    producer.flush(60)
    return Sent(first, last, time.time(), latest, 0.0)


class Sender:
    """A sender in a process of its own, ready to go."""

    def __init__(self, order: Order) -> None:
        command = [sys.executable, "-m", "benchmarks.sender", msgspec.json.encode(order).decode()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError("the sender did not get ready")

    def go(self) -> Sent:
        """Send; return when everything is confirmed."""
        told, _ = self._process.communicate("go\n", timeout=LONGEST)
        return msgspec.json.decode(told.strip().splitlines()[-1], type=Sent)

    def close(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextmanager
def sender(order: Order) -> Iterator[Sender]:
    """Yield a sender that is ready, and end its process."""
    made = Sender(order)
    try:
        yield made
    finally:
        made.close()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Order))
