"""The watch side without a broker: a filing in question is told on its topic, passed on when it is judged, and kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rules.catalogue import load_catalogue
from rules.pack import compile_packs, load_packs
from rules.registry import Institution
from streams.clients import Record as Kept
from streams.encode import recode
from streams.encodings import Encoding
from streams.exporter import Snapshot
from streams.fetching import Record
from streams.partitions import home
from streams.questions import HEADER, Told, open_questions, with_confirms
from streams.roster import Roster
from streams.side import Effects, Names
from streams.watch import Watch
from streams.wire import Confirms, Filing, encode, to_seconds

NAMES = Names("rejected", "alerts", "cross-section", "measures", "questions")
CODE = "CN001"
BANK = Institution(CODE, {"en": "First Bank", "zh": "第一银行"}, type="city_bank")
GOOD = {"total_deposits": 1.2e12, "hqla": 2e11, "interbank_assets": 9e10, "lcr": 1.3}
THOUSANDS = {name: value / 1000 if value > 100 else value for name, value in GOOD.items()}


def side() -> Watch:
    """A side over one bank that holds its partition."""
    program = compile_packs(load_packs(["reporting", "bank-liquidity"]), load_catalogue(["cn"]))
    no_table: Any = None
    made = Watch(program, Roster("", "", [BANK]), no_table, "filings", NAMES, 1, 1_000_000)
    made.reset(frozenset({0}))
    made.partitions = frozenset({0})
    return made


def filing(day: int, values: dict[str, float], submitted: str = "") -> bytes:
    """A daily liquidity filing of March 2026, submitted in the evening."""
    as_of = f"2026-03-{day:02}"
    return encode(Filing(CODE, "cn.liquidity.d", as_of, submitted or f"{as_of}T12:00:00Z", dict(values)))


def take(made: Watch, value: bytes, offset: int) -> Effects:
    """Apply one record."""
    assert home(CODE, 1) == 0
    return made.apply(made.read([Record("filings", 0, offset, 0, CODE.encode(), value)]))


def told(effects: Effects) -> list[tuple[Told, bytes | None]]:
    """What was posted on the topic of questions."""
    mine = [post for post in effects.posts if post.topic == "questions"]
    assert all(post.key == CODE.encode() for post in mine)
    return [(msgspec.json.decode(dict(post.headers)[HEADER], type=Told), post.value) for post in mine]


def topics(effects: Effects) -> list[str]:
    """Where something was posted."""
    return sorted({post.topic for post in effects.posts})


def test_a_question_carries_the_bytes_the_factor_and_a_sentence_in_both_languages() -> None:
    made = side()
    take(made, filing(10, GOOD), 0)
    record = filing(11, THOUSANDS)
    effects = take(made, record, 1)
    ((question, value),) = told(effects)
    assert (value, question.state, question.id) == (record, "asked", "CN001/cn.liquidity.d/2026-03-11/0/1")
    assert [(p.unit, p.factor, [c.indicator for c in p.columns]) for p in question.parts] == [
        ("currency", 0.001, ["total_deposits", "interbank_assets", "hqla"])
    ]
    assert question.message["en"].startswith(
        "First Bank, cn.liquidity.d as of 2026-03-11: its amounts seem about 1,000 times too small (total_deposits"
    )
    assert "第一银行报送的商业银行流动性日报（2026-03-11）金额疑似偏小约1,000倍" in question.message["zh"]
    assert (effects.accepted, effects.rejected, effects.questions) == ({}, {}, {"asked": 1})
    assert effects.transitions["firing", "watch"] == 1
    assert question.expires == "2026-03-12T16:00:00Z"  # T+1, the end of the day in Shanghai


def test_the_answer_of_a_person_is_sent_as_the_very_same_filing_and_judged() -> None:
    made = side()
    take(made, filing(10, GOOD), 0)
    asked = next(post for post in take(made, filing(11, THOUSANDS), 1).posts if post.topic == "questions")
    (one,) = open_questions([Kept(asked.key, asked.value, list(asked.headers), 0, 0)])
    answered = with_confirms(one.record, one.headers, Confirms("Li Na", "run-off"))
    effects = take(made, answered, 2)
    ((question, value),) = told(effects)
    assert (question.state, question.by, question.reason, value) == ("confirmed", "Li Na", "run-off", None)
    assert effects.accepted == {"cn.liquidity.d": 1}
    closed = [post for post in effects.posts if post.topic == "questions"]
    records = [Kept(post.key, post.value, list(post.headers), 0, i) for i, post in enumerate([asked, *closed, asked])]
    assert open_questions(records[:2]) == []
    assert [o.told.state for o in open_questions(records[:1])] == ["asked"]


def test_without_an_answer_time_judges_it_and_a_scrape_shows_it() -> None:
    made = side()
    take(made, filing(10, GOOD), 0)
    take(made, filing(11, THOUSANDS), 1)
    before = Snapshot()
    made.show(before)
    assert (dict(before.questions), dict(before.unconfirmed)) == ({("cn.liquidity.d",): 1}, {})
    assert told(made.tick(to_seconds("2026-03-12T15:59:59Z"))) == []
    effects = made.tick(to_seconds("2026-03-12T16:00:00Z"))
    assert [(question.state, value) for question, value in told(effects)] == [("unconfirmed", None)]
    assert effects.accepted == {"cn.liquidity.d": 1}
    after = Snapshot()
    made.show(after)
    assert (dict(after.questions), dict(after.unconfirmed)) == ({}, {("cn.liquidity.d",): 1})


def test_a_side_that_takes_over_holds_what_was_held_and_asks_nothing_twice() -> None:
    """The state of the block as a checkpoint writes it, with its parts; then the filings come again."""
    made = side()
    take(made, filing(10, GOOD), 0)
    take(made, filing(11, THOUSANDS), 1)
    ((partition, block, _),) = made.blocks()
    parts = {part: made.export_part(partition, block, part) for part in made.parts(partition, block)}
    other = side()
    other.restore(partition, block, made.export(partition, block), parts)
    again = [take(other, filing(10, GOOD), 0), take(other, filing(11, THOUSANDS), 1)]
    assert [effects.posts for effects in again] == [[], []]
    assert [effects.replayed for effects in again] == [1, 1]
    effects = take(other, filing(11, GOOD), 2)
    assert [question.state for question, _ in told(effects)] == ["superseded"]
    assert effects.transitions["resolved", "none"] == 1


def test_what_was_held_is_marked_for_the_next_checkpoint() -> None:
    """Its offset is committed after that: a held filing must be in the state by then."""
    made = side()
    take(made, filing(10, GOOD), 0)
    made.keeper.dirty.clear()
    take(made, filing(11, THOUSANDS), 1)
    assert [len(blocks) for blocks in made.keeper.dirty.values()] == [1]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_filing_is_asked_about_in_any_encoding(encoding: Encoding) -> None:
    made = side()
    take(made, filing(10, GOOD), 0)
    value = recode(filing(11, THOUSANDS), load_catalogue(["cn"]).reported("cn.liquidity.d"), encoding)
    effects = made.apply(made.read([Record("filings", 0, 1, 0, CODE.encode(), value, encoding.headers)]))
    assert [(question.state, found) for question, found in told(effects)] == [("asked", value)]
    (asked,) = [post for post in effects.posts if post.topic == "questions"]
    assert [header for header in asked.headers if header[0] == "content-type"] == encoding.headers
