"""Fixtures that are real programs, the `needs` mark, and the line the run ends with. `tests/parts.py` decides."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from deploy.kafka.local import LocalKafka
from tests import parts
from tests.examples import fuzzing
from tests.programs import Program, start_alertmanager, start_prometheus

LEDGER = pytest.StashKey[parts.Ledger]()
SHARED = pytest.StashKey[parts.Broker]()
"""The broker that the processes of a parallel run share; the process that the person started keeps it."""

FIXTURES = {"kafka": "broker", "own_kafka": "local-kafka", "prometheus": "prometheus", "alertmanager": "alertmanager"}
"""The part that each fixture needs, so that using one marks the test."""

hypothesis.settings.register_profile("default", max_examples=50, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True)
hypothesis.settings.register_profile(
    "fuzz",
    max_examples=fuzzing(),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") or parts.required() else "default")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEDGER] = parts.Ledger()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start one broker for all processes of a parallel run, before the first of them."""
    stash = node.config.stash
    if SHARED not in stash and (broker := parts.make_broker()) is not None:
        broker.start()
        stash[SHARED] = broker
    if SHARED in stash:
        broker = stash[SHARED]
        node.workerinput["broker"] = (broker.kind, broker.description, broker.bootstrap)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take in what a process of a parallel run found missing."""
    told = getattr(node, "workeroutput", {}).get("ledger")
    if told is not None:
        node.config.stash[LEDGER].add(*told)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workeroutput"):
        ledger = config.stash[LEDGER]
        config.workeroutput["ledger"] = (ledger.broker, dict(ledger.not_run))


def pytest_report_header(config: pytest.Config) -> str:
    broker = parts.make_broker()
    return f"broker: {broker.description if broker else 'none'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        unknown = _needs(item) - parts.PARTS.keys()
        if unknown:
            known = ", ".join(parts.PARTS)
            raise pytest.UsageError(f"{item.nodeid} needs {', '.join(sorted(unknown))}; known parts: {known}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for part in sorted(_needs(item)):
        _require(part, item)


def pytest_unconfigure(config: pytest.Config) -> None:
    if SHARED in config.stash:
        config.stash[SHARED].stop()
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not config.option.collectonly and not hasattr(config, "workerinput"):
        reporter.write_line(config.stash[LEDGER].line())


def _needs(item: pytest.Item) -> set[str]:
    marked = {part for mark in item.iter_markers("needs") for part in mark.args}
    return marked | {FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in FIXTURES}


def _require(part: str, item: pytest.Item) -> None:
    reason = parts.missing(part)
    if not reason:
        return
    item.config.stash[LEDGER].not_run[part].append(item.nodeid)
    message = f"{reason}; `make parts` installs it"
    if parts.required():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[parts.Broker]:
    """The broker of this run: `.bootstrap`, `.kind`. One for all tests: give topics the `topic_prefix`."""
    shared = getattr(pytestconfig, "workerinput", {}).get("broker")
    broker = parts.SharedKafka(*shared) if shared else parts.make_broker()
    assert broker is not None, "a test that uses the fixture `kafka` by name is skipped where no broker is"
    broker.start()
    pytestconfig.stash[LEDGER].broker = broker.description
    yield broker
    broker.stop()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics and groups that no other test has."""
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture
def own_kafka() -> Iterator[LocalKafka]:
    """An Apache Kafka broker of this test alone, which it may kill and restart."""
    with LocalKafka() as broker:
        yield broker


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """A factory: `prometheus(config_text, files={name: text})` starts Prometheus; its `.url` answers queries."""
    started: list[Program] = []

    def start(config: str, files: dict[str, str] | None = None) -> Program:
        started.append(start_prometheus(tmp_path / f"prometheus-{len(started)}", config, files or {}))
        return started[-1]

    yield start
    for program in reversed(started):
        program.stop()


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """A factory: `alertmanager(config_text)` starts Alertmanager; its `.url` has the v2 API under /api/v2."""
    started: list[Program] = []

    def start(config: str, files: dict[str, str] | None = None) -> Program:
        started.append(start_alertmanager(tmp_path / f"alertmanager-{len(started)}", config, files or {}))
        return started[-1]

    yield start
    for program in reversed(started):
        program.stop()
