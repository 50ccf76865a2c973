"""The feeder: sends a sector's records to the broker, history at once and live days at a chosen pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from guanlan.demo.stage import Stage
from guanlan.synthetic import Record, Sector
from guanlan.synthetic.timeline import DAY
from streams.clients import answering, open_producer

if TYPE_CHECKING:
    from kafka import KafkaProducer

OFFICE_FROM, OFFICE_HOURS = 0.0, 11 * 3600  # filings arrive in the first eleven hours of a day, UTC
STEP_SECONDS = 0.05


class Feeder:
    """Sends records in order of arrival from a thread of its own; `error` holds what ended it early."""

    def __init__(self, sector: Sector, stage: Stage) -> None:
        self.sector = sector
        self.stage = stage
        self.sent = 0
        self.now = sector.live_from
        self.finished = threading.Event()
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer: KafkaProducer = open_producer(stage.bootstrap, linger_ms=10, batch_size=256 << 10)

    @property
    def days(self) -> int:
        """How many days the live part has."""
        timeline = self.sector.timeline
        return len(timeline.live)

    def send_history(self) -> int:
        """Send everything that arrived before the live days; return how many records."""
        with answering(self.stage.bootstrap):
            for record in self.sector.records(until=self.sector.live_from):
                self._send(record)
            self._producer.flush()
        return self.sent

    def start(self, pace: float) -> None:
        """Begin to play the live days, `pace` business days a second."""
        self._thread = threading.Thread(target=self._run, args=(pace,), name="feeder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sending and wait for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
        self._producer.close(timeout=5)

    def _run(self, pace: float) -> None:
        try:
            with answering(self.stage.bootstrap):
                self._play(pace)
                self._producer.flush()
        except BaseException as err:
            self.error = err
        finally:
            self.finished.set()

    def _play(self, pace: float) -> None:
        began = time.monotonic()
        for place, record in self._placed():
            while (ahead := place / pace - (time.monotonic() - began)) > STEP_SECONDS:
                if self._stop.wait(min(ahead, 0.5)):
                    return
            self._send(record)
            self.now = record.at
            if self._stop.is_set():
                return

    def _placed(self) -> Iterator[tuple[float, Record]]:
        """Live records with their place on the time axis, in business days since the live days began."""
        live = {int(day): index for index, day in enumerate(self.sector.timeline.live)}
        index = 0
        for record in self.sector.records(since=self.sector.live_from):
            day, second = divmod(record.at, DAY)
            index = live.get(day, index)
            yield index + min(0.999, second / OFFICE_HOURS), record

    def _send(self, record: Record) -> None:
        self._producer.send(self.stage.topic(record.topic), key=record.key.encode(), value=record.value)
        self.sent += record.topic == "filings"
