"""What people read of every state and cause: golden files, made by the engine's own transitions and the desk's fold."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from alerts.desk import Notice
from alerts.wording import annotations, headline, message, paragraph, structured
from tests.alerts.states import DESK_URL, GOLDEN, SCENES, golden, names

RAW = re.compile(r"\d{4}-\d{2}-\d{2}T|\d{2}:\d{2}:\d{2}|\d[eE][+-]\d|\bnan\b|None|\{|\}")
"""Instants of UTC, exponents, and other things that no person should read."""


@cache
def told() -> tuple[Notice, ...]:
    """Every notice of every scene."""
    return tuple(notice for scene in SCENES.values() for notice in scene())


@pytest.mark.parametrize("name", [*SCENES, "together"])
def test_the_golden_files_are_what_people_get(name: str) -> None:
    """`python -m tests.alerts.states` writes them anew: read them from top to bottom before they are committed."""
    assert golden_text(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@cache
def _golden() -> dict[str, str]:
    return golden()


def golden_text(name: str) -> str:
    return _golden()[name]


def test_every_state_and_cause_is_among_them() -> None:
    found = {(notice.kind, notice.alert.last.cause) for notice in told()}
    assert {kind for kind, _ in found} >= {
        "firing", "escalated", "eased", "resolved", "stale", "suppressed", "released", "moved", "repeated", "worsened",
        "past_due", "unanswered", "flapping",
    }  # fmt: skip
    assert {cause for kind, cause in found if kind == "resolved"} >= {
        "filed", "late", "revised", "rule-changed", "retired",
    }  # fmt: skip
    assert {("escalated", "revised"), ("eased", "revised"), ("escalated", "rule-changed"), ("firing", "clock")} <= found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_raw_is_read(language: str) -> None:
    for notice in told():
        for line in (headline(notice, names, language), *paragraph(notice, language)):
            assert not RAW.search(line), line


def test_chinese_lines_have_chinese_marks() -> None:
    """No half-width colon, comma or parenthesis between Chinese characters."""
    for notice in told():
        for line in (headline(notice, names, "zh"), *paragraph(notice, "zh")):
            assert not re.search(r"[一-鿿][:;,()!?]|[:;,()!?][一-鿿]", line), line


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_over_names_neither_limit_nor_law_nor_action(language: str) -> None:
    over = [notice for notice in told() if notice.kind == "resolved"]
    assert over
    for notice in over:
        text = "\n".join(paragraph(notice, language))
        assert not re.search(r"Action|Basis|below|above|by \w+day|建议监管措施|监管依据|级别依据|低于|高于", text)
        assert notice.alert.last.action == {}
        assert notice.alert.last.deadline == ""


def test_a_watch_level_above_the_minimum_does_not_cite_the_law_as_broken() -> None:
    lcr = [n for n in told() if n.alert.last.rule == "bank.liquidity.lcr" and n.kind != "resolved"]
    lines = {n.alert.last.severity: "\n".join(paragraph(n, "en")) for n in lcr}
    assert "Basis: a supervisory proposal, not a line of the law; related: " in lines["watch"]
    assert "Basis: the law's own line, " in lines["critical"]


def test_what_to_do_differs_by_severity() -> None:
    lcr = {n.alert.last.severity: n.alert.last.action["en"] for n in told() if n.alert.last.rule == "bank.liquidity.lcr"
           and n.kind != "resolved"}  # fmt: skip
    assert len(set(lcr.values())) == 3


def test_a_correction_says_by_which_revision_and_what_was_told() -> None:
    (fixed,) = (n for n in told() if n.kind == "resolved" and n.alert.last.cause == "revised")
    (line, *_) = paragraph(fixed, "en")
    assert line == (
        "Resolved (was warning): corrected by revision 3: "
        "Loans overdue 90 days to non-performing loans 50.00%, was 96.00%"
    )


def test_the_name_is_there_in_every_headline() -> None:
    for notice in told():
        assert "Bank of Jiangnan (CN001)" in headline(notice, names, "en")
        assert "江南银行（CN001）" in headline(notice, names, "zh")


def test_webhooks_get_the_lines_as_data() -> None:
    """JSON, with numbers beside the texts; and nothing of action or law where the alert is over."""
    for notice in told():
        data = json.loads(json.dumps(structured(notice, names, DESK_URL), allow_nan=False))
        event = notice.alert.last
        assert (data["kind"], data["case"], data["event"]["id"]) == (notice.kind, notice.alert.case, event.id)
        assert data["name"] == {"en": "Bank of Jiangnan", "zh": "江南银行"}
        assert data["link"] == f"{DESK_URL}/alerts/{notice.alert.case}"
        assert data["lines"]["zh"] == paragraph(notice, "zh", DESK_URL)
        over = notice.kind == "resolved"
        assert bool(data["action"]) != over or not event.action
        assert (data["standing"] == "") == (over or not event.basis.get("standing"))
        if event.measured is not None:
            assert data["measured"]["value"] == event.measured.value


def test_peers_are_told_where_the_rule_runs_among_them() -> None:
    (among,) = SCENES["peers"]()
    measured = among.alert.last.measured
    assert measured is not None
    assert (measured.name, measured.peers) == ("npl_ratio", 13)
    assert measured.median == pytest.approx(0.015)  # of 1.20, 1.25, … 1.75 and 6.10 %
    assert measured.percentile == pytest.approx(12.5 / 13)
    assert all(n.alert.last.measured is None or not n.alert.last.measured.peers for n in SCENES["filed"]())


def test_annotations_are_texts_and_of_the_notice() -> None:
    for notice in told():
        found = annotations(notice, names, DESK_URL)
        assert all(isinstance(text, str) and text for text in found.values())
        assert found["text_en"] == "\n".join(paragraph(notice, "en", DESK_URL))
        assert ("action_en" in found) == (notice.kind != "resolved" and bool(notice.alert.last.action))


def test_the_second_language_has_its_headline() -> None:
    (first, *_) = told()
    assert headline(first, names, "zh") in message(first, names, "en")
    assert headline(first, names, "en") in message(first, names, "zh")
