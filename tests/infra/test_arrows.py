"""The folders know each other in one direction only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer

from guanlan.cli import COMMANDS

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "rules": set(),
    "systemic": set(),
    "alerts": {"rules"},
    "streams": {"alerts", "rules", "systemic", "guanlan.settings"},
    "guanlan": {"streams", "alerts", "rules", "systemic"},
    "deploy": {"guanlan", "streams", "alerts", "rules", "systemic"},
    "benchmarks": {"guanlan", "streams", "alerts", "rules", "systemic", "deploy"},
}
"""What a folder may import besides itself. Settings are read by every process and import only rules.problems."""

NO_INPUT_OR_OUTPUT = {"aiokafka", "faust", "httpx", "kafka", "pandas", "prometheus_client", "requests", "socket"}
"""What the pure folders, rules and systemic, must not import."""


def _modules(folder: str) -> Iterator[Path]:
    return (path for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and full name of everything a module imports, inside functions too."""
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _is_within(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_the_table_says(folder: str) -> None:
    """No module imports a folder of ours that the table does not give it."""
    allowed = {folder, *MAY_IMPORT[folder]}
    ours = {*MAY_IMPORT, "tests"}
    forbidden = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _modules(folder)
        for line, name in _imports(path)
        if name.split(".")[0] in ours and not any(_is_within(name, a) for a in allowed)
    ]
    assert forbidden == []


@pytest.mark.parametrize("folder", ["rules", "systemic"])
def test_pure_folders_do_no_input_or_output(folder: str) -> None:
    """The engine and the measures import nothing that talks to networks or brokers."""
    forbidden = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in _modules(folder)
        for line, name in _imports(path)
        if name.split(".")[0] in NO_INPUT_OR_OUTPUT
    ]
    assert forbidden == []


def test_settings_stay_a_leaf() -> None:
    """`guanlan.settings`, which streams may import, imports nothing of ours but the errors."""
    ours = {name for _, name in _imports(ROOT / "guanlan" / "settings.py") if name.split(".")[0] in MAY_IMPORT}
    assert ours == {"rules.problems.ConfigError"}


def test_the_commands_are_those_in_the_folder() -> None:
    """Every command module is listed, sorted, has an app or a command, and says in one line what it does."""
    files = sorted(path.stem.removesuffix("_") for path in (ROOT / "guanlan" / "commands").glob("*_.py"))
    files.remove("__init_")
    assert list(COMMANDS) == files
    for name in COMMANDS:
        module = import_module(f"guanlan.commands.{name}_")
        group = getattr(module, "app", None)
        said = group.info.help if isinstance(group, typer.Typer) else module.command.__doc__
        assert said, name


def test_public_names_are_sorted_and_there() -> None:
    """Every `__all__` is sorted and names only what its module has."""
    for folder in ("rules", "systemic", "streams", "alerts", "guanlan"):
        for path in _modules(folder):
            if "__all__" not in path.read_text(encoding="utf-8"):
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            module = import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
            assert list(module.__all__) == sorted(module.__all__), module.__name__
            assert [name for name in module.__all__ if not hasattr(module, name)] == [], module.__name__
