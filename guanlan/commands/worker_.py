"""`guanlan worker`: watches filings as they come, until interrupted."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules.problems import ConfigError

if TYPE_CHECKING:
    from guanlan.settings import Settings
    from rules.pack import Program
    from streams.place import Place

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
    program = compile_program(settings, asked_catalogue=bool(catalogue))
    place = find_place(settings)
    if institutions is not None:
        _seed(place, institutions)
    code = asyncio.run(_run(settings, program, place))
    if code:
        raise typer.Exit(code)


def compile_program(settings: Settings, asked_catalogue: bool = True) -> Program:
    """Compile the packs of the settings; raise ConfigError, CatalogueError or PackError with what is wrong.

    The catalogues are those of the settings, or what the packs ask for where nobody set any.
    """
    from rules.catalogue import load_catalogue
    from rules.pack import compile_packs, load_packs, wanted_catalogues
    from streams.stress import stress_packs
    from streams.values import value_packs

    if not settings.packs:
        raise ConfigError("there are no rule packs: give --pack NAME or set GUANLAN_PACKS")
    texts = load_packs(settings.packs)
    chosen = asked_catalogue or "catalogue" in settings.model_fields_set
    names = settings.catalogue if chosen else wanted_catalogues(texts) or settings.catalogue
    catalogue = load_catalogue(names)
    return compile_packs([*texts, *stress_packs(catalogue), *value_packs(catalogue)], catalogue)


def _seed(place: Place, file: Path) -> None:
    from streams.registry import publish_institutions, read_institutions, read_seed
    from streams.topics import INSTITUTIONS

    topic = place.topic(INSTITUTIONS)
    known = {i.code: i for i in read_institutions(place.bootstrap, topic)}
    new = [i for i in read_seed([file], None) if known.get(i.code) != i]
    publish_institutions(place.bootstrap, topic, new)


async def _run(settings: Settings, program: Program, place: Place) -> int:
    from streams.app import Worker
    from streams.place import claim_folder

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with claim_folder(settings.data_dir, settings.instance) as folder:
        return await Worker(settings, program, place, folder).run(stop)


def _log() -> None:
    """Log lines of the worker go to standard error; of what it stands on, only what a person must know."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("guanlan").setLevel(logging.INFO)
    for name, level in LOUD.items():
        logging.getLogger(name).setLevel(level)
