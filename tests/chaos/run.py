"""One run over the load: undisturbed, or with workers killed, the broker killed or frozen, local stores damaged."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kafka.errors import KafkaError

from deploy.kafka.local import LocalKafka
from streams.clients import ServiceError
from tests.chaos.disk import spoil
from tests.chaos.poison import Sent
from tests.chaos.workers import Crew, Topics

LONGEST_START = 75.0
LONGEST_STAND = 60.0
LONGEST_END = 240.0
QUIET = 6.0
"""Seconds without anything to read, after which what clocks and pauses held back is out."""

Say = Callable[[str], None]


@dataclass
class Track:
    """How many records were committed when, seen from outside; runs in a thread of its own until it is closed."""

    topics: Topics
    seen: list[tuple[float, int, int]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Track:
        """Begin to look."""
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    def newest(self) -> tuple[int, int]:
        """Return what is committed, and the end; (-1, 0) before anything was seen."""
        return self.seen[-1][1:] if self.seen else (-1, 0)

    def recoveries(self, kills: Sequence[float]) -> list[float]:
        """Return the seconds from each kill to the first commit beyond what was committed before it."""
        found = []
        for number, at in enumerate(kills):
            until = kills[number + 1] if number + 1 < len(kills) else float("inf")
            before = max((done for seen, done, _ in self.seen if seen <= at), default=0)
            after = [seen - at for seen, done, _ in self.seen if at < seen < until and done > before]
            found += after[:1]
        return found

    def _look(self) -> None:
        while not self._over.wait(0.1):
            try:
                self.seen.append((time.monotonic(), *self.topics.progress()))
            except (KafkaError, ServiceError, OSError, AssertionError):
                continue  # the broker is away


@dataclass
class Run:
    """One run: its topics and workers, and what was done to them. `stood` says where it did not go on."""

    name: str
    records: list[Sent]
    broker: LocalKafka
    folder: Path
    registry: str
    say: Say
    faults: Counter[str] = field(default_factory=Counter)
    kills: list[float] = field(default_factory=list)
    stood: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.topics = Topics(self.broker.bootstrap, f"{self.name}.", self.folder / self.name)
        self.topics.prepare(self.registry)
        self.crew = Crew(self.topics, self.folder)
        self.track = Track(self.topics).start()

    def undisturbed(self) -> None:
        """Send everything, and let one worker do its work."""
        self.topics.feed(self.records, len(self.records))
        self._finish(1)

    def disturbed(self, rng: random.Random, workers: int, kills: int, disks: bool = True) -> None:
        """Send the load in shares, and at each of so many moments kill workers, and harm what they stand on."""
        feeding: threading.Thread | None = None
        share = len(self.records) // (kills + 1) + 1
        for number in range(kills):
            self.crew.ensure(workers)
            if feeding is None or not feeding.is_alive():
                until = min(len(self.records), self.topics.fed + share)
                feeding = threading.Thread(target=self.topics.feed, args=(self.records, until))
                feeding.start()
            moment = rng.choice(["at its start", "watching", "watching", "in a checkpoint", "telling", "later"])
            self._wait_for(moment, rng)
            self._harm_broker(rng)
            self._kill(moment, rng, disks)
            self.say(f"{self.name}: kill {number + 1} of {kills}, {moment}; {self.topics.fed} records sent")
        if feeding is not None:
            feeding.join()
        self.topics.feed(self.records, len(self.records))
        self._finish(workers)

    def _wait_for(self, moment: str, rng: random.Random) -> None:
        if moment == "at its start":
            time.sleep(rng.uniform(0.3, 4.0))
            return
        began = time.monotonic()
        while not self.crew.watching():
            if time.monotonic() - began > LONGEST_START:
                self.stood.append(f"no worker had its partitions after {LONGEST_START:.0f} s")
                break
            time.sleep(0.05)
        if moment == "in a checkpoint":
            self.topics.grows(*self.topics.where_state_goes)
        elif moment == "telling":
            self.topics.grows(self.topics.where_alerts_go)
        else:
            time.sleep(rng.uniform(0.0, 2.0) if moment == "watching" else rng.uniform(2.0, 5.0))

    def _harm_broker(self, rng: random.Random) -> None:
        chance = rng.random()
        if chance < 0.11:
            self.faults["broker frozen"] += 1
            self.broker.freeze()
            time.sleep(rng.uniform(5.0, 20.0))
            self.broker.thaw()
        elif chance < 0.22:
            self.faults["broker killed"] += 1
            self.broker.kill()
            time.sleep(rng.uniform(0.0, 3.0))
            self.broker.restart()

    def _kill(self, moment: str, rng: random.Random, disks: bool) -> None:
        names = sorted(self.crew.workers)
        if len(names) > 1 and rng.random() < 0.6:
            names = [rng.choice(names)]
        self.kills.append(time.monotonic())
        self.faults[f"killed {moment}"] += 1
        self.faults["two killed at once"] += len(names) > 1
        for folder in [self.crew.kill(name) for name in names]:
            if disks and rng.random() < 0.6 and (damage := spoil(folder, rng)):
                self.faults[f"store {damage}"] += 1

    def _finish(self, workers: int) -> None:
        """Wait until every record is committed and nothing moves any more, then have all end in order."""
        began = moved = time.monotonic()
        best = quiet = 0
        last: tuple[int, int] = (-1, 0)
        while time.monotonic() - began < LONGEST_END:
            self.crew.ensure(workers)
            time.sleep(0.3)
            done, end = self.track.newest()
            if done > best:
                best, moved = done, time.monotonic()
            elif time.monotonic() - moved > LONGEST_STAND:
                self.stood.append(f"nothing was committed for {LONGEST_STAND:.0f} s, at {done} of {end}")
                moved = time.monotonic()
            quiet = quiet + 1 if (done, end) == last and done == end >= len(self.records) else 0
            last = done, end
            if quiet * 0.3 >= QUIET:
                break
        else:
            self.stood.append(f"{last[0]} of {last[1]} records are committed after {LONGEST_END:.0f} s")
        self.crew.stop()
        self.track.close()

    def close(self) -> None:
        """End what still runs."""
        self.track.close()
        for name in list(self.crew.workers):
            self.crew.kill(name)
