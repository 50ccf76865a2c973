"""One Apache Kafka broker on loopback, in KRaft mode, for tests and for trying things out.

`make parts` brings the jars; Java 17 or newer must be there.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from guanlan import parts
from rules.problems import ConfigError
from streams.daemon import LOOPBACK, Daemon, StartError, accepts, free_port

_HERE = Path(__file__).parent
_START_ATTEMPTS = 3


class LocalKafka:
    """One broker; `bootstrap` is its address, the same through crashes and restarts.

    `port` 0 means a free one. `folder` is where it keeps its data: by default a temporary one that `stop`
    removes. Raises ConfigError where Java or the jars are missing, StartError when the broker does not come up.

    >>> with LocalKafka() as broker:              # doctest: +SKIP
    ...     broker.bootstrap
    '127.0.0.1:23571'
    """

    kind = "apache"

    def __init__(self, port: int = 0, folder: Path | None = None) -> None:
        self._wanted_port = port
        self._port = 0
        self._kept = folder
        self._folder: Path | None = None
        self._daemon: Daemon | None = None

    @property
    def description(self) -> str:
        """The broker in words, with its version."""
        return f"Apache Kafka {parts.kafka_version()} (KRaft on loopback)"

    @property
    def bootstrap(self) -> str:
        """The broker's address, `host:port`."""
        if not self._port:
            raise RuntimeError("the broker was not started")
        return f"{LOOPBACK}:{self._port}"

    @property
    def log(self) -> Path:
        """The file with what the broker said."""
        if self._folder is None:
            raise RuntimeError("the broker was not started")
        return self._folder / "broker.log"

    def start(self) -> Self:
        """Start the broker and return when it serves; try again where a free port was taken meanwhile."""
        attempts = 1 if self._wanted_port else _START_ATTEMPTS
        while True:
            attempts -= 1
            try:
                self._prepare()
                self._run()
            except BaseException as err:
                self.stop()
                if not attempts or not isinstance(err, StartError):
                    raise
            else:
                return self

    def stop(self) -> None:
        """Stop the broker in order and remove its temporary data; does nothing when it does not run."""
        if self._daemon is not None:
            self._daemon.stop()
        if self._folder is not None and self._kept is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._daemon = self._folder = None

    def kill(self) -> None:
        """End the broker with SIGKILL, as a crash would; its data stays for `restart`."""
        if self._daemon is not None:
            self._daemon.kill()

    def restart(self) -> None:
        """Start the broker again on the same port with the data it had, stopping it first where it still runs."""
        if self._daemon is None:
            raise RuntimeError("the broker was not started")
        self._daemon.stop()
        self._run()

    def freeze(self) -> None:
        """Stop the broker's process where it is, as a machine that hangs would; `thaw` lets it go on."""
        if self._daemon is not None:
            os.kill(self._daemon.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a broker that was frozen go on."""
        if self._daemon is not None and self._daemon.running:
            os.kill(self._daemon.pid, signal.SIGCONT)

    def wait(self) -> int:
        """Wait until the broker ends by itself and return its exit code."""
        if self._daemon is None:
            raise RuntimeError("the broker was not started")
        return self._daemon.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare(self) -> None:
        command = _java()
        self._port = self._wanted_port or free_port()
        self._folder = self._kept or Path(tempfile.mkdtemp(prefix="guanlan-kafka-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "server.properties"
        template = (_HERE / "server.properties").read_text(encoding="utf-8")
        values = {"port": self._port, "controller": free_port(), "data": self._folder / "data"}
        for name, value in values.items():
            template = template.replace(f"={{{name}}}", f"={value}").replace(f":{{{name}}}", f":{value}")
        config.write_text(template, encoding="utf-8")
        _format(command, config)
        self._daemon = Daemon("Apache Kafka", [*command, "kafka.Kafka", str(config)], self._folder / "broker.log")

    def _run(self) -> None:
        assert self._daemon is not None
        self._daemon.start(lambda: accepts(self._port) and _serves(self.bootstrap))


def _java() -> list[str]:
    program, jars = parts.java(), parts.kafka_jars()
    if program is None:
        raise ConfigError(f"Java {parts.OLDEST_JAVA} or newer is not installed; run `make parts`")
    if jars is None:
        raise ConfigError("Apache Kafka's jars are not in .parts/kafka; run `make parts`")
    log = _HERE / "log4j2.yaml"
    memory = ["-Xms128m", "-Xmx768m", "-XX:+UseSerialGC"]
    return [str(program), *memory, f"-Dlog4j2.configurationFile={log}", "-cp", f"{jars}/*"]


def _format(command: list[str], config: Path) -> None:
    identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    arguments = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", identity, "-c", str(config)]
    answer = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise StartError(f"Apache Kafka could not format its storage; {answer.stdout}{answer.stderr}".strip())


def _serves(bootstrap: str) -> bool:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5_000)
    except KafkaError:
        return False
    try:
        return any(not broker["is_fenced"] for broker in admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()
