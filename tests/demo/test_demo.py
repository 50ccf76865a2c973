"""The demo as a person runs it: the command, the embedded broker, a worker, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.clients import admin_client
from streams.embedded import embedded_program
from tests.parts import Broker

Start = Callable[..., subprocess.Popen[str]]

embedded = pytest.mark.skipif(embedded_program() is None, reason="the embedded broker is not installed")


@pytest.fixture
def start() -> Iterator[Start]:
    """Start `guanlan demo` in a process group of its own, of which nothing is left after the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "guanlan.cli", "demo", "--headless", "--institutions", "60", *arguments]
        # commands that a shell runs in the background ignore Ctrl-C, and so would what they start
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
        finally:
            signal.signal(signal.SIGINT, before)
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            for pid in (process.pid, *descendants(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def descendants(pid: int) -> dict[int, str]:
    """Command lines of the processes below `pid`, by id."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text()
                commands[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        children = [child for child, above in parents.items() if above == parent]
        found.update({child: commands[child] for child in children})
        waiting += children
    return found


@embedded
def test_every_story_is_found_and_the_exit_code_says_so(start: Start) -> None:
    """Read back from the topics of alerts and refused filings of a real run; and nobody else is accused."""
    demo = start("--for", "20s")
    output, _ = demo.communicate(timeout=300)
    assert "8 of 8 stories found" in output
    assert "; 0 alerts on institutions to which nothing was planted" in output
    assert demo.returncode == 0


@pytest.mark.needs("kafka")
def test_a_broker_of_yours_is_left_as_it_was(start: Start, kafka: Broker) -> None:
    """The demo's topics bear a prefix and are gone at the end."""
    demo = start("--for", "20s", "--bootstrap", kafka.bootstrap)
    output, _ = demo.communicate(timeout=300)
    assert "8 of 8 stories found" in output
    deadline = time.monotonic() + 20
    while (left := _topics_of(demo.pid, kafka.bootstrap)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left == []


def _topics_of(demo: int, bootstrap: str) -> list[str]:
    with admin_client(bootstrap) as admin:
        return [name for name in admin.list_topics() if name.startswith(f"demo-{demo}-")]


@embedded
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything(start: Start, number: signal.Signals) -> None:
    """Ctrl-C, or a polite kill: exit code 0, and neither broker nor worker is left."""
    demo = start("--for", "10m")
    assert demo.stdout is not None
    for line in demo.stdout:
        if "playing" in line:
            break
    below = descendants(demo.pid)
    assert any("worker" in command for command in below.values())
    os.kill(demo.pid, number)
    output, _ = demo.communicate(timeout=60)
    assert "stories found so far" in output
    assert demo.returncode == 0
    deadline = time.monotonic() + 10
    while (left := [pid for pid in below if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--for", "soon"), "write it as 60s or 3m"),
        (("--bootstrap", "127.0.0.1:1"), "no Kafka broker answers at 127.0.0.1:1"),
    ],
)
def test_mistakes_are_one_sentence(start: Start, arguments: tuple[str, ...], said: str) -> None:
    """No traceback, an exit code that says what kind it was."""
    demo = start(*arguments)
    output, _ = demo.communicate(timeout=60)
    assert said in " ".join(output.split())
    assert "Traceback" not in output
    assert demo.returncode in (2, 3)
