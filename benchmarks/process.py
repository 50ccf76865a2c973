"""`guanlan worker` as a process of its own, seen from outside: its /metrics, its processor seconds, its memory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.jobs import Job
from benchmarks.stage import Stage
from streams.daemon import free_port

_SAMPLE = re.compile(r"^(\w+)(\{[^}]*\})? (\S+)$", re.MULTILINE)
READY_SECONDS = 90.0


class WorkerProcess:
    """One worker on a stage; `pack` is the text of its rules."""

    def __init__(self, here: Stage, job: Job, name: str = "worker", pack: str = "") -> None:
        self.folder = here.folder / name
        self.folder.mkdir(exist_ok=True)
        catalogue, rules = self.folder / "wide.yaml", self.folder / "bench.yaml"
        catalogue.write_text(job.wide.catalogue, encoding="utf-8")
        rules.write_text(pack or job.pack, encoding="utf-8")
        self.port = 0
        self._command = [
            sys.executable,
            "-m",
            "guanlan.cli",
            "worker",
            "--pack",
            str(rules),
            "--catalogue",
            str(catalogue),
        ]
        self._environment = {
            **os.environ,
            "GUANLAN_BOOTSTRAP": here.bootstrap,
            "GUANLAN_TOPIC_PREFIX": here.prefix,
            "GUANLAN_GROUP": here.group,
            "GUANLAN_INSTANCE": name,
            "GUANLAN_PARTITIONS": str(here.partitions),
            "GUANLAN_DATA_DIR": str(self.folder / "data"),
            "GUANLAN_METRICS_HOST": "127.0.0.1",
            "GUANLAN_SERIES_BUDGET": "1000000",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it; return at once."""
        self.port = free_port()
        log = (self.folder / "log").open("ab")
        environment = {**self._environment, "GUANLAN_METRICS_PORT": str(self.port)}
        with log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it in order; with SIGKILL when it does not."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def scrape(self) -> str:
        """Return /metrics as text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=20) as answer:
            return str(answer.read().decode())

    def total(self, name: str) -> float:
        """Return the sum of a metric over its labels; 0 while nobody answers."""
        self.alive()
        try:
            text = self.scrape()
        except OSError:
            return 0.0
        return sum(float(value) for found, _, value in _SAMPLE.findall(text) if found == name)

    def until(self, name: str, least: float, within: float = READY_SECONDS, every: float = 0.1) -> None:
        """Wait until a metric is that high; raise TimeoutError when it is not in time."""
        deadline = time.monotonic() + within
        while (seen := self.total(name)) < least:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is {seen:g} and not {least:g} after {within:g} s; {self.said()}")
            time.sleep(every)

    def cpu(self) -> float:
        """Return its processor seconds."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self, peak: bool = False) -> int:
        """Return its resident bytes: now, or at most."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status)
        return int(found[1]) * 1024 if found else 0

    def said(self) -> str:
        """Return the end of its log."""
        return (self.folder / "log").read_text(encoding="utf-8")[-1500:]

    def alive(self) -> None:
        """Raise RuntimeError with the end of its log when it has ended."""
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"the worker ended with {self.process.returncode}: {self.said()}")
