"""The pages on measures name every measure of the registry and every argument of the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from guanlan.commands.systemic_ import app
from systemic.registry import load_measures

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "".join((DOCS / f"systemic{page}.md").read_text(encoding="utf-8") for page in ("", "-market", "-network"))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_every_measure_of_the_registry_is_on_a_page() -> None:
    assert [name for name in load_measures() if f"`{name}`" not in PAGES] == []


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_argument_is_on_a_page(command: str) -> None:
    assert f"guanlan systemic {command}" in PAGES
    options = [option.opts[0] for option in COMMANDS[command].params if option.opts[0].startswith("--")]
    assert [option for option in options if option not in PAGES] == []
