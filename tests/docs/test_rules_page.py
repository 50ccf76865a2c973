"""The page for rule authors is true: its pack compiles, its test passes, its table of functions is whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rules.catalogue import load_catalogue
from rules.functions import FUNCTIONS
from rules.pack import PackText, compile_packs
from rules.testing import read_tests, run_case

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", [0, 1])
def test_the_example_packs_pass_their_example_tests(number: int) -> None:
    pack = [b for b in blocks() if "rules:" in b][number]
    tests = [b for b in blocks() if "tests:" in b and "my-peers" not in b][number]
    program = compile_packs([PackText(pack, "docs/rules.md")], load_catalogue(["cn"]))
    cases, problems = read_tests(tests, "docs/rules.md", program)
    assert problems == []
    results = [run_case(case, program) for case in cases]
    assert [r.timeline() for r in results if not r.ok] == []
    assert len(results) == tests.count("- name:")


def test_every_function_stands_in_the_table_as_the_code_says_it() -> None:
    rows = {f"| `{f.usage}` | {' '.join(f.doc.split())} |" for f in FUNCTIONS.values()}
    text = PAGE.read_text(encoding="utf-8")
    assert {row for row in rows if row not in text} == set()


def test_the_example_of_several_institutions_passes() -> None:
    """Its rule stands in no block of the page: the sentence above it says what it is."""
    rule = "  - {id: my.peers.npl, levels: {watch: peer_percentile(npl_ratio) > 70%}}"
    program = compile_packs([PackText(f"pack: my-peers\nrules:\n{rule}", "docs/rules.md")], load_catalogue(["cn"]))
    cases, problems = read_tests(next(b for b in blocks() if "my-peers" in b), "docs/rules.md", program)
    assert problems == []
    assert [r.timeline() for r in (run_case(case, program) for case in cases) if not r.ok] == []


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_says_what_it_does_with_gaps(name: str) -> None:
    assert re.search("[mM]issing|[uU]nknown|[gG]aps", FUNCTIONS[name].doc)
