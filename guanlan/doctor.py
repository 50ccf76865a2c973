"""What `guanlan doctor` looks at: what is installed, what answers, what is wrong, and the fix of each.

A check is a function that yields findings. It never raises for what it is there to find.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from guanlan import parts
from guanlan.settings import Settings, load_settings
from rules.problems import ConfigError, GuanlanError

State = Literal["ok", "absent", "wrong"]

OLDEST_PYTHON = (3, 11)
ANSWER_SECONDS = 5.0
DIFFERENCES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    `state` is "ok", "absent" (not there, and not needed to run) or "wrong" (needed to run); `fix` says what to
    do about the last two.
    """

    name: str
    state: State
    detail: str
    fix: str = ""


def examine(**overrides: object) -> list[Finding]:
    """Look at everything; `overrides` are settings given on the command line."""
    findings = [*installed()]
    try:
        settings = load_settings(**overrides)
    except ConfigError as err:
        fix = "correct the GUANLAN_… variable or the line in guanlan.toml"
        return [*findings, Finding("settings", "wrong", _one_line(err), fix)]
    for check in (check_data_dir, check_packs, check_kafka, check_metrics_port, check_alertmanager):
        findings.extend(check(settings))
    return findings


def installed() -> Iterator[Finding]:
    """Python, the packages Guanlan needs, and the programs it can work with."""
    version = ".".join(map(str, sys.version_info[:3]))
    oldest = ".".join(map(str, OLDEST_PYTHON))
    ok = sys.version_info >= OLDEST_PYTHON
    yield Finding("Python", "ok" if ok else "wrong", version, "" if ok else f"install Python {oldest} or newer")
    yield from _packages()
    yield from _programs()


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires("guanlan") or ()]
    needed = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    bad = 0
    for requirement in needed:
        fix = f"pip install '{requirement}'"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            bad += 1
            yield Finding(f"package {requirement.name}", "wrong", "not installed", fix)
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            bad += 1
            detail = f"{version}, but Guanlan needs {requirement.specifier}"
            yield Finding(f"package {requirement.name}", "wrong", detail, fix)
    if not bad:
        faust = metadata.version("faust-streaming")
        yield Finding("packages", "ok", f"all {len(needed)} that Guanlan needs; faust-streaming {faust}")


def _programs() -> Iterator[Finding]:
    from streams.embedded import embedded_program

    jars = parts.kafka_version()
    looked_for: tuple[tuple[str, object, str, str], ...] = (
        ("embedded broker", embedded_program(), "the demo needs a Kafka broker", "pip install 'guanlan[embedded]'"),
        ("Java", parts.java(), "tests can't start Apache Kafka", "make parts"),
        ("Kafka's jars", jars and f"Apache Kafka {jars}", "tests can't start Apache Kafka", "make parts"),
        ("Prometheus", parts.prometheus(), "its tests are skipped", "make parts"),
        ("Alertmanager", parts.alertmanager(), "its tests are skipped", "make parts"),
        ("Chromium", parts.chromium(), "its tests are skipped", "make parts"),
    )
    for name, found, without, fix in looked_for:
        if found:
            yield Finding(name, "ok", str(found))
        else:
            yield Finding(name, "absent", f"not installed: {without}", fix)


def check_data_dir(settings: Settings) -> Iterator[Finding]:
    """A worker must be able to write its local state."""
    folder = settings.data_dir.absolute()
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        yield Finding("local state", "ok", str(folder))
    else:
        yield Finding("local state", "wrong", f"{folder} can't be written", "set GUANLAN_DATA_DIR to another folder")


def check_packs(settings: Settings) -> Iterator[Finding]:
    """The rule packs of the settings compile with their catalogues."""
    if not settings.packs:
        fix = "set GUANLAN_PACKS, or start it with --pack"
        yield Finding("rule packs", "absent", "none set: a worker starts only if some are published", fix)
        return
    from guanlan.commands.worker_ import compile_program

    try:
        program = compile_program(settings, asked_catalogue="catalogue" in settings.model_fields_set)
    except GuanlanError as err:
        yield Finding("rule packs", "wrong", _one_line(err), f"guanlan rules lint {' '.join(settings.packs)}")
        return
    yield Finding("rule packs", "ok", f"{', '.join(settings.packs)}: {len(program.rules)} rules compile")


def check_kafka(settings: Settings) -> Iterator[Finding]:
    """A broker answers, the topics are as they should be, and institutions are registered."""
    from streams.clients import ServiceError, admin_client

    try:
        if not _accepted(settings.bootstrap):
            raise ServiceError("no connection")
        with admin_client(settings.bootstrap) as admin:
            brokers = admin.describe_cluster()["brokers"]
    except ServiceError:
        fix = "start Kafka (python -m deploy.kafka), or set GUANLAN_BOOTSTRAP"
        yield Finding("Kafka", "wrong", f"no broker answers at {settings.bootstrap}", fix)
        return
    count = f"{len(brokers)} broker{'' if len(brokers) == 1 else 's'}"
    yield Finding("Kafka", "ok", f"{settings.bootstrap} answers, {count}")
    try:
        yield _topics(settings)
        yield _registry(settings)
    except ServiceError as err:
        yield Finding("Kafka", "wrong", _one_line(err), "look into the broker's log")


def _accepted(bootstrap: str) -> bool:
    """Whether one of the addresses takes a connection; a Kafka client alone would try for much longer."""
    from streams.daemon import accepts

    addresses = [address.strip().rpartition(":") for address in bootstrap.split(",")]
    return any(accepts(int(port), host.strip("[]")) for host, _, port in addresses if port.isdigit())


def _topics(settings: Settings) -> Finding:
    from streams.topics import differences, topic_table

    table = topic_table(settings.topic_prefix, settings.partitions, settings.replication)
    found = differences(settings.bootstrap, table)
    if not found:
        return Finding("topics", "ok", f"{len(table)} topics, {settings.partitions} partitions")
    told = "; ".join(map(str, found[:DIFFERENCES_SHOWN]))
    more = f"; and {len(found) - DIFFERENCES_SHOWN} more" if len(found) > DIFFERENCES_SHOWN else ""
    return Finding("topics", "wrong", told + more, "guanlan topics create")


def _registry(settings: Settings) -> Finding:
    from streams.registry import read_institutions
    from streams.topics import INSTITUTIONS

    count = len(read_institutions(settings.bootstrap, settings.topic_prefix + INSTITUTIONS))
    if count:
        return Finding("registry", "ok", f"{count:,} institutions")
    return Finding("registry", "wrong", "no institution is registered", "guanlan institutions load FILE")


def check_metrics_port(settings: Settings) -> Iterator[Finding]:
    """The port of /metrics is free, or a worker of ours answers on it."""
    import httpx

    from streams.daemon import accepts

    port = settings.metrics_port
    if port == 0:
        yield Finding("metrics port", "ok", "a worker takes any free one")
    elif not accepts(port):
        yield Finding("metrics port", "ok", f"{port} is free; no worker runs on this machine")
    else:
        try:
            ours = "guanlan_" in httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=ANSWER_SECONDS).text
        except httpx.HTTPError:
            ours = False
        if ours:
            yield Finding("metrics port", "ok", f"a worker serves http://127.0.0.1:{port}/metrics")
        else:
            fix = "set GUANLAN_METRICS_PORT to a free port"
            yield Finding("metrics port", "wrong", f"{port} is taken by another program", fix)


def check_alertmanager(settings: Settings) -> Iterator[Finding]:
    """Every Alertmanager of the settings answers its v2 API."""
    import httpx

    urls = [url.strip().rstrip("/") for url in settings.alertmanager_url.split(",") if url.strip()]
    if not urls:
        fix = "set GUANLAN_ALERTMANAGER_URL to use one"
        yield Finding("Alertmanager's API", "absent", "no address set: it is not notified", fix)
    for url in urls:
        try:
            answer = httpx.get(f"{url}/api/v2/status", timeout=ANSWER_SECONDS)
            answer.raise_for_status()
            version = answer.json()["versionInfo"]["version"]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as err:
            fix = "start Alertmanager, or correct GUANLAN_ALERTMANAGER_URL"
            yield Finding("Alertmanager's API", "wrong", f"{url} does not answer: {_one_line(err)}", fix)
        else:
            yield Finding("Alertmanager's API", "ok", f"{url} answers, version {version}")


def _one_line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())
