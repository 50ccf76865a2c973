"""`guanlan demo`: everything on one machine, with a made-up sector in which things go wrong."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from rules.problems import ConfigError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m)?")


def command(
    headless: Annotated[bool, typer.Option(help="Draw nothing; print a summary and end.")] = False,
    for_: Annotated[str, typer.Option("--for", help="Play all live days in so long, as in 60s or 3m.")] = "",
    pace: Annotated[float, typer.Option(min=0.01, max=200, help="Business days played a second.")] = 1.0,
    institutions: Annotated[int, typer.Option(min=40, max=5000, help="Banks and insurers in the sector.")] = 200,
    seed: Annotated[int, typer.Option(help="Another seed makes another sector.")] = 7,
    bootstrap: Annotated[str | None, typer.Option(help="Use this Kafka broker instead of the embedded one.")] = None,
    language: Annotated[str, typer.Option(help="Language of messages: en or zh.")] = "en",
) -> None:
    """Watch a made-up national sector live: broker, worker, filings, alerts.

    Three years of history, then half a year of live days in which several things go wrong. Ctrl-C ends it and
    leaves nothing running; the exit code is then 0. Headless, it is 0 when every planted story was found in
    the topics of alerts and of refused filings, and 1 when one was missed.
    """
    from guanlan.demo import Options, play

    options = Options(
        headless=headless,
        pace=pace,
        seconds=_seconds(for_) if for_ else None,
        institutions=institutions,
        seed=seed,
        bootstrap=bootstrap,
        language=language,
    )
    raise typer.Exit(play(options))


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None or not (seconds := float(match[1]) * (60 if match[2] == "m" else 1)):
        raise ConfigError(f"--for can't be {text!r}: write it as 60s or 3m")
    return seconds
