"""What the demo runs: a broker, the topics, the registry, and a worker as a process of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rules.problems import GuanlanError
from rules.registry import Institution
from streams.clients import admin_client
from streams.daemon import LOOPBACK, Daemon, accepts, free_port
from streams.embedded import EmbeddedKafka
from streams.registry import publish_institutions
from streams.topics import INSTITUTIONS, create_topics, topic_table

PARTITIONS = 4
PACKS = ("bank-prudential", "bank-liquidity", "insurer-solvency", "reporting", "digital-transformation")


class Stage:
    """A broker with topics and, once `start_worker` was called, a worker; everything is gone when it closes.

    Without `bootstrap` the broker is the embedded one. On a broker of yours, the topics bear a prefix of this
    run and are deleted at the end.
    """

    def __init__(self, bootstrap: str | None, packs: Sequence[str], language: str) -> None:
        self.prefix = f"demo-{os.getpid()}-{int(time.time())}." if bootstrap else ""
        self.packs = tuple(packs)
        self.language = language
        self.metrics_port = 0
        self._given = bootstrap
        self._broker: EmbeddedKafka | None = None
        self._worker: Daemon | None = None
        self._room: Path | None = None

    @property
    def bootstrap(self) -> str:
        """Address of the broker."""
        return self._given or (self._broker.bootstrap if self._broker else "")

    @property
    def broker(self) -> str:
        """Whether the broker is the "embedded" one, or was "given"."""
        return "given" if self._given else "embedded"

    @property
    def metrics_url(self) -> str:
        """Where the worker serves its metrics."""
        return f"http://{LOOPBACK}:{self.metrics_port}/metrics"

    def topic(self, name: str) -> str:
        """Return a topic's full name."""
        return self.prefix + name

    def open(self, institutions: Sequence[Institution]) -> None:
        """Start the broker, make the topics, and publish the registry."""
        self._room = Path(tempfile.mkdtemp(prefix="guanlan-demo-"))
        if self._given is None:
            self._broker = EmbeddedKafka().start()
        create_topics(self.bootstrap, topic_table(self.prefix, PARTITIONS))
        publish_institutions(self.bootstrap, self.topic(INSTITUTIONS), institutions)

    def start_worker(self) -> None:
        """Start `guanlan worker` and return when it serves metrics."""
        assert self._room is not None
        self.metrics_port = free_port()
        settings = {
            "BOOTSTRAP": self.bootstrap,
            "TOPIC_PREFIX": self.prefix,
            "PARTITIONS": str(PARTITIONS),
            "DATA_DIR": str(self._room / "state"),
            "PACKS": ",".join(self.packs),
            "CATALOGUE": "cn",
            "METRICS_HOST": LOOPBACK,
            "METRICS_PORT": str(self.metrics_port),
            "LANGUAGE": self.language,
            "CLOCK": "data",
            "MARKET_SECONDS": "2",
        }
        command = ["env", *(f"GUANLAN_{name}={value}" for name, value in settings.items())]
        command += [sys.executable, "-m", "guanlan.cli", "worker"]
        self._worker = Daemon("the worker", command, self._room / "worker.log")
        self._worker.start(lambda: accepts(self.metrics_port), within=90)

    def check(self) -> None:
        """Raise GuanlanError when the worker has ended by itself."""
        if self._worker is not None and not self._worker.running:
            lines = self.log_tail()
            raise GuanlanError("the worker ended; its last words: " + " | ".join(lines))

    def log_tail(self, lines: int = 5) -> list[str]:
        """Return the last lines of the worker's log."""
        log = self._room / "worker.log" if self._room else None
        text = log.read_text(encoding="utf-8", errors="replace") if log and log.exists() else ""
        return text.strip().splitlines()[-lines:]

    def close(self) -> None:
        """Stop what was started and delete what was made."""
        if self._worker is not None:
            self._worker.stop()
        if self._broker is not None:
            self._broker.stop()
        elif self._given and self.prefix:
            self._delete_topics()
        if self._room is not None:
            shutil.rmtree(self._room, ignore_errors=True)
        self._worker = self._broker = self._room = None

    def _delete_topics(self) -> None:
        try:
            with admin_client(self.bootstrap) as admin:
                ours = [name for name in admin.list_topics() if name.startswith(self.prefix)]
                if ours:
                    admin.delete_topics(ours)
        except GuanlanError:
            pass  # the broker went away first: its topics are its owner's

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
