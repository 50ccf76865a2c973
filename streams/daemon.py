"""A program that runs beside this process: started, waited for, stopped, killed, and never left behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from streams.clients import ServiceError

LOOPBACK = "127.0.0.1"

_PORTS = range(20_000, 32_000)  # below Linux's ephemeral ports, so no outgoing connection takes one meanwhile
_GUARD = 'cat >/dev/null; kill -s KILL -- "-$1" 2>/dev/null'


class StartError(ServiceError):
    """A program did not start or did not answer in time; the message ends with its last words."""


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on now; raise StartError when there is none."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise StartError("no free TCP port on loopback between 20000 and 32000; stop some programs")


def accepts(port: int, host: str = LOOPBACK) -> bool:
    """Whether something accepts connections on the port."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


class Daemon:
    """One child program in its own process group, its output in a file.

    A guard process holds a pipe of ours: when this process ends in whatever way, SIGKILL included, the pipe
    closes and the guard kills the child. Ctrl-C in a terminal does not reach the child; `stop` does.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the program has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the running program; raises RuntimeError when it does not run."""
        if self._child is None or not self.running:
            raise RuntimeError(f"{self.name} is not running")
        return self._child.pid

    def start(self, ready: Callable[[], bool], within: float = 60.0) -> None:
        """Start it and return once `ready()` is true; raise StartError when it ends or needs more than `within` s."""
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        with self.log.open("ab") as output:
            self._child = self._spawn(output)
        self._guard = _guard(self._child.pid)
        try:
            self._await(self._child, ready, within)
        except BaseException:
            self.kill()
            raise

    def wait(self) -> int:
        """Wait until the program ends by itself and return its exit code."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.wait()

    def stop(self, within: float = 15.0) -> None:
        """Ask the program to end, wait, and kill it after `within` seconds; does nothing when it does not run."""
        if self._child is not None and self.running:
            self._child.terminate()
            try:
                self._child.wait(within)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._end()

    def kill(self) -> None:
        """End the program with SIGKILL, as a crash would; does nothing when it does not run."""
        if self._child is not None and self.running:
            os.killpg(self._child.pid, signal.SIGKILL)
        self._end()

    def _spawn(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as err:
            raise StartError(f"{self.name} can't be started: {err}") from None

    def _await(self, child: subprocess.Popen[bytes], ready: Callable[[], bool], within: float) -> None:
        deadline = time.monotonic() + within
        while not ready():
            code = child.poll()
            if code is not None:
                raise StartError(f"{self.name} ended with code {code} while starting; {self._last_words()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} did not answer within {within:.0f} s; {self._last_words()}")
            time.sleep(0.05)

    def _end(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
        if self._child is not None:
            self._child.wait()
        self._child = self._guard = None

    def _last_words(self) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace").strip() if self.log.exists() else ""
        return "last words: " + " | ".join(text.splitlines()[-5:]) if text else "it said nothing"


def _guard(group: int) -> subprocess.Popen[bytes] | None:
    shell = shutil.which("sh")
    if shell is None:
        return None
    return subprocess.Popen(
        [shell, "-c", _GUARD, "guanlan-guard", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
