"""`guanlan forms`: what senders need to know of a form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.encodings import form_version
from tests.filings.conftest import Run

CATALOGUE = """
catalogue: test
forms:
  - {id: t.day, title: {en: Daily, zh: 日报}, frequency: daily}
indicators:
  - {id: lcr, title: {en: Coverage, zh: 覆盖率}, form: t.day, unit: ratio, range: [0, 20]}
  - {id: deposits, title: {en: Deposits, zh: 存款}, form: t.day, unit: currency}
"""


def test_forms_are_listed_with_version_and_order(
    tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list has each form with its version, a form its indicators in order, in the language asked for."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE, encoding="utf-8")
    version = form_version("t.day", ("lcr", "deposits"))
    assert guanlan("forms", "--catalogue", path, "--language", "zh") == 0
    assert guanlan("forms", "t.day", "--catalogue", path) == 0
    assert guanlan("forms", "--catalogue", path, "--json") == 0
    out = capsys.readouterr().out.splitlines()
    assert [words.split() for words in out[1:6]] == [
        ["t.day", version, "daily", "-", "2", "日报"],
        ["t.day,", "version", version],
        ["indicator", "unit", "range", "plausible", "title"],
        ["0", "lcr", "ratio", "0", "…", "20", "Coverage"],
        ["1", "deposits", "currency", "-∞", "…", "∞", "Deposits"],
    ]
    assert json.loads(out[6]) == {
        "form": "t.day",
        "version": version,
        "frequency": "daily",
        "due": "",
        "due_provisional": False,
        "indicators": ["lcr", "deposits"],
    }


def test_a_form_that_is_not_there_is_told(guanlan: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name gets the nearest one; what only Guanlan computes is not filed."""
    assert guanlan("forms", "cn.liquidity") == 2
    assert guanlan("forms", "measures.system") == 2
    assert "did you mean 'cn.liquidity.d'?" in capsys.readouterr().err
