"""What the two READMEs say is there is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guanlan.cli import COMMANDS

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")


def blocks(readme: str, language: str) -> list[str]:
    """Code blocks of a language."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("readme", READMES)
def test_links_lead_somewhere(readme: str) -> None:
    """Every link that is no web address is a file of ours."""
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / readme).read_text(encoding="utf-8"))
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []


@pytest.mark.parametrize("readme", READMES)
def test_the_rule_shown_is_the_rule_in_the_pack(readme: str) -> None:
    """Word for word: an example that drifts teaches the wrong thing."""
    pack = (ROOT / "rules/packs/bank-liquidity.yaml").read_text(encoding="utf-8")
    shown = blocks(readme, "yaml")
    assert shown
    assert [block for block in shown if block not in pack] == []


@pytest.mark.parametrize("readme", READMES)
def test_commands_exist(readme: str) -> None:
    """Of `guanlan` and of make."""
    lines = [line for block in blocks(readme, "sh") for line in block.splitlines()]
    commands = {line.split()[1] for line in lines if line.startswith("guanlan ")}
    targets = {line.split()[1] for line in lines if line.startswith("make ")}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert commands
    assert targets
    assert commands <= set(COMMANDS)
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
