"""The real parts tests run against: which are there, which broker is taken, and what is missing."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, Self

from deploy.kafka.local import LocalKafka
from guanlan import parts
from streams.embedded import EmbeddedKafka, embedded_program

CONTAINER_IMAGE = "confluentinc/cp-kafka:7.9.0"
LARGEST_RECORD = 64 * 1024 * 1024


class Broker(Protocol):
    """A broker of Kafka's protocol: `kind` is external, container, apache or embedded."""

    kind: str

    @property
    def description(self) -> str: ...
    @property
    def bootstrap(self) -> str: ...
    def start(self) -> object: ...
    def stop(self) -> None: ...


class ExternalKafka:
    """The broker somebody else runs, named by KAFKA_BOOTSTRAP; it is taken for Apache Kafka."""

    kind = "external"

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.description = f"Kafka at {bootstrap} (KAFKA_BOOTSTRAP)"

    def start(self) -> Self:
        """Do nothing: it runs already."""
        return self

    def stop(self) -> None:
        """Do nothing: it is not ours."""


@dataclass(frozen=True)
class SharedKafka:
    """The broker of a parallel run, which the process that started this one keeps."""

    kind: str
    description: str
    bootstrap: str

    def start(self) -> Self:
        """Do nothing: it runs already."""
        return self

    def stop(self) -> None:
        """Do nothing: others still use it."""


class ContainerKafka:
    """Apache Kafka in a container, by testcontainers."""

    kind = "container"
    description = f"Apache Kafka in a container ({CONTAINER_IMAGE})"

    def __init__(self) -> None:
        from testcontainers.kafka import KafkaContainer

        self._container = KafkaContainer(CONTAINER_IMAGE).with_kraft()
        self._container.with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
        self._container.with_env("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000")
        self._container.with_env("KAFKA_MESSAGE_MAX_BYTES", str(LARGEST_RECORD))
        self._container.with_env("KAFKA_REPLICA_FETCH_MAX_BYTES", str(LARGEST_RECORD))
        self._container.with_env("KAFKA_SOCKET_REQUEST_MAX_BYTES", str(2 * LARGEST_RECORD))

    @property
    def bootstrap(self) -> str:
        """The broker's address, `host:port`."""
        return str(self._container.get_bootstrap_server())

    def start(self) -> Self:
        """Pull the image where needed and start the container."""
        self._container.start()
        return self

    def stop(self) -> None:
        """Stop and remove the container."""
        self._container.stop()


@cache
def broker_kind() -> str | None:
    """Return which broker tests run on, the most real there is: external, container, apache, embedded or None."""
    if os.environ.get("KAFKA_BOOTSTRAP"):
        return "external"
    if parts.docker_answers():
        return "container"
    if parts.java() and parts.kafka_jars():
        return "apache"
    return "embedded" if embedded_program() else None


def make_broker() -> Broker | None:
    """Return the broker of `broker_kind`, not started, or None."""
    match broker_kind():
        case "external":
            return ExternalKafka(os.environ["KAFKA_BOOTSTRAP"])
        case "container":
            return ContainerKafka()
        case "apache":
            return LocalKafka()
        case "embedded":
            return EmbeddedKafka()
    return None


def _no_kafka() -> str:
    return "" if broker_kind() in {"external", "container", "apache"} else "Apache Kafka is not installed"


def _no_local_kafka() -> str:
    if parts.java() is None:
        return f"Java {parts.OLDEST_JAVA} is not installed"
    return "" if parts.kafka_jars() else "Apache Kafka's jars are not in .parts/kafka"


def _no_program(name: str, find: Callable[[], object]) -> Callable[[], str]:
    return lambda: "" if find() else f"{name} is not installed"


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "kafka": ("Kafka", _no_kafka),
    "local-kafka": ("Kafka on loopback", _no_local_kafka),
    "broker": ("any broker", lambda: "" if broker_kind() else "no broker of Kafka's protocol is installed"),
    "embedded": ("embedded broker", _no_program("the embedded broker", embedded_program)),
    "prometheus": ("Prometheus", _no_program("Prometheus", parts.prometheus)),
    "alertmanager": ("Alertmanager", _no_program("Alertmanager", parts.alertmanager)),
    "chromium": ("Chromium", _no_program("Chromium", parts.chromium)),
}
"""What `@pytest.mark.needs` may name: how the report calls it, and the reason why it is missing ("" when not)."""

ALWAYS_REPORTED = ("kafka", "prometheus", "alertmanager")


@cache
def missing(part: str) -> str:
    """Return why a part is missing, or "" when it is there."""
    return PARTS[part][1]()


def required() -> bool:
    """Whether a missing part is a failure (GUANLAN_REQUIRE_PARTS=1) and not a reason to skip."""
    return os.environ.get("GUANLAN_REQUIRE_PARTS", "") not in {"", "0"}


@dataclass
class Ledger:
    """What this test run found missing: for each part, the tests that did not run."""

    broker: str = ""
    not_run: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, broker: str, not_run: Mapping[str, Sequence[str]]) -> None:
        """Take in the ledger of another process of the same run."""
        self.broker = self.broker or broker
        for part, tests in not_run.items():
            self.not_run[part] += tests

    def line(self) -> str:
        """Return the line the run ends with."""
        broker = self.broker or "none (no test needed one)"
        lacking = "; ".join(self._lacking()) or "nothing"
        return f"guanlan: broker: {broker}; missing parts: {lacking}"

    def _lacking(self) -> Iterator[str]:
        for part, (title, _) in PARTS.items():
            tests = self.not_run.get(part, [])
            if tests:
                files = ", ".join(sorted({test.split("::")[0] for test in tests}))
                yield f"{title} ({len(tests)} {'test' if len(tests) == 1 else 'tests'} did not run: {files})"
            elif part in ALWAYS_REPORTED and missing(part):
                yield f"{title} (no test chosen needs it)"
