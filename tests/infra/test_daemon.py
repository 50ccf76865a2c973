"""A program that runs beside ours starts, is seen to fail, and never outlives us."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.daemon import Daemon, StartError, accepts, free_port

OWNER = """
import sys, time
from pathlib import Path
from streams.daemon import Daemon
daemon = Daemon("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1]))
daemon.start(lambda: True)
print(daemon.pid, flush=True)
time.sleep(600)
"""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].startswith(" Z")


def _ends(pid: int, patience: float = 30.0) -> bool:
    deadline = time.monotonic() + patience
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _is_alive(pid)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads process states in /proc")
def test_a_program_ends_with_its_owner(tmp_path: Path) -> None:
    """When the process that started a program is killed with SIGKILL, the program is killed too."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert _is_alive(pid)
        owner.kill()
    assert _ends(pid)


def test_a_program_that_ends_while_starting_is_told_with_its_last_words(tmp_path: Path) -> None:
    """A program that ends before it is ready raises StartError with its exit code and what it said."""
    daemon = Daemon("broken", [sys.executable, "-c", "print('no disk'); raise SystemExit(7)"], tmp_path / "log")
    with pytest.raises(StartError, match="broken ended with code 7 while starting; last words: no disk"):
        daemon.start(lambda: False)
    assert not daemon.running


def test_a_program_that_never_answers_is_killed(tmp_path: Path) -> None:
    """A program that is not ready in time raises StartError and does not run on."""
    daemon = Daemon("mute", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")
    with pytest.raises(StartError, match="mute did not answer within 1 s; it said nothing"):
        daemon.start(lambda: False, within=1)
    assert not daemon.running


def test_a_program_does_not_survive_an_interrupted_start(tmp_path: Path) -> None:
    """Ctrl-C while waiting for a program ends the program too."""
    daemon = Daemon("slow", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")
    seen: list[int] = []

    def interrupted() -> bool:
        seen.append(daemon.pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        daemon.start(interrupted)
    assert _ends(seen[0])


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A program that can't be started raises StartError and not OSError."""
    with pytest.raises(StartError, match="absent can't be started"):
        Daemon("absent", [str(tmp_path / "absent")], tmp_path / "log").start(lambda: True)


def test_a_program_stops_and_starts_again(tmp_path: Path) -> None:
    """After `stop` nothing listens on the port; the same program can be started on it again."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    daemon = Daemon("web", command, tmp_path / "log")
    for end in (daemon.stop, daemon.kill):
        daemon.start(lambda: accepts(port))
        assert daemon.running
        end()
        assert (daemon.running, accepts(port)) == (False, False)
