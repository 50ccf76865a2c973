"""`guanlan worker`: watches filings as they come, until interrupted."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules.problems import ConfigError

if TYPE_CHECKING:
    from guanlan.settings import Settings
    from rules.pack import Program
    from streams.app import Worker
    from streams.place import Place

NO_PACKS = "there are no rule packs: give --pack NAME or set GUANLAN_PACKS"
LOUD = {"faust": logging.ERROR, "mode": logging.ERROR, "aiokafka": logging.CRITICAL, "kafka": logging.CRITICAL}


def command(
    pack: Annotated[
        list[str] | None, typer.Option("--pack", help="Rule pack: a file, or the name of one that comes along.")
    ] = None,
    catalogue: Annotated[
        list[str] | None, typer.Option(help="Catalogue: name or file. By default what the packs ask for.")
    ] = None,
    institutions: Annotated[
        Path | None, typer.Option(help="Registry of institutions (CSV, YAML or JSON Lines), put on its topic first.")
    ] = None,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")] = None,
    group: Annotated[str | None, typer.Option(help="Consumer group; workers of one group share the work.")] = None,
    instance: Annotated[
        str | None, typer.Option(help="A name of this worker that stays the same over restarts.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder for local state, which is only a cache.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics; 0 for any free one.")] = None,
) -> None:
    """Judge filings by rule packs as they come; alerts go to Kafka, series to /metrics."""
    from guanlan.settings import load_settings
    from streams.place import find_place
    from streams.programs import compile_texts
    from streams.releases import in_force
    from streams.topics import RULES

    settings = load_settings(
        packs=pack or None,
        catalogue=catalogue or None,
        bootstrap=bootstrap,
        group=group,
        instance=instance,
        data_dir=data_dir,
        metrics_port=metrics_port,
    )
    _log()
    compile_ = partial(compile_texts, settings=settings, asked_catalogue=bool(catalogue))
    program = compile_program(settings, bool(catalogue)) if settings.packs else None
    place = find_place(settings)
    began = in_force(place.bootstrap, place.topic(RULES), compile_)
    if began is not None:
        program = began.program
    if program is None:
        raise ConfigError(f"{NO_PACKS}, or publish some with guanlan rules publish")
    if institutions is not None:
        _seed(place, institutions, program)
    from streams.app import Worker

    code = asyncio.run(_run(partial(Worker, settings, program, place, began=began, compile_=compile_), settings))
    if code:
        raise typer.Exit(code)


def compile_program(settings: Settings, asked_catalogue: bool = True) -> Program:
    """Compile the packs of the settings; raise ConfigError, CatalogueError or PackError with what is wrong."""
    from rules.pack import load_packs
    from streams.programs import compile_texts

    if not settings.packs:
        raise ConfigError(NO_PACKS)
    return compile_texts(load_packs(settings.packs), settings, asked_catalogue)


def _seed(place: Place, file: Path, program: Program) -> None:
    from streams.codes import known_types
    from streams.registry import publish_institutions, read_institutions, read_registrations, read_seed, registered
    from streams.topics import INSTITUTIONS

    topic = place.topic(INSTITUTIONS)
    known = {i.code: i for i in read_institutions(place.bootstrap, topic)}
    since = read_registrations(place.bootstrap, topic)
    seed = read_seed([file], None, known_types(program.catalogue))
    new = [i for i in registered(seed, since, int(time.time())) if known.get(i.code) != i]
    publish_institutions(place.bootstrap, topic, new)


async def _run(make: Callable[..., Worker], settings: Settings) -> int:
    from streams.place import claim_folder

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with claim_folder(settings.data_dir, settings.instance) as folder:
        return await make(folder=folder).run(stop)


def _log() -> None:
    """Log lines of the worker go to standard error; of what it stands on, only what a person must know."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("guanlan").setLevel(logging.INFO)
    for name, level in LOUD.items():
        logging.getLogger(name).setLevel(level)
