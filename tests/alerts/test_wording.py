"""What people read: golden messages, compared whole."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.desk import Desk, Notice
from alerts.wording import deadline, digest, group_message, headline, legal_basis, message, number
from rules.spelling import amount
from rules.transitions import Overdue
from tests.alerts.samples import episode, names, transition


def notices() -> list[Notice]:
    """Return the notices of one episode."""
    desk = Desk()
    return [notice for event in episode() if (notice := desk.fold(event)) is not None]


def test_an_escalation_in_full() -> None:
    """Below its headline: both languages, legal basis, action and deadline, evidence with its filings, ids."""
    escalated = notices()[1]
    assert message(escalated, names) == (
        "Bank of Jiangnan: LCR 97.3%, minimum 100%\n"
        "As of 5 March 2026; cause: a filing\n"
        "Open since 1 March 2026 (4 days)\n"
        "Basis: 商业银行流动性风险管理办法 (中国银行保险监督管理委员会令2018年第3号), art. 37 (text not yet verified)\n"
        "Action: Ask for a funding plan (within 5 business days)\n"
        "\n"
        "【预警升级（关注→严重）】流动性覆盖率：江南银行（CN001）\n"
        "江南银行流动性覆盖率97.3%,监管要求100%\n"
        "数据日期：2026年3月5日；变动原因：新报送数据\n"
        "预警起始：2026年3月1日（已持续4天）\n"
        "监管依据：《商业银行流动性风险管理办法》（中国银行保险监督管理委员会令2018年第3号）第三十七条（条文待核对）\n"
        "建议监管措施：报送融资计划；请在5个工作日内完成\n"
        "\n"
        "Evidence / 依据数据\n"
        "lcr < 105%\n"
        "lcr             97.30%  (2026-03-05)\n"
        "nsfr            missing\n"
        "total_deposits  1.2tn CNY  (2026-03-05, revision 1)\n"
        "\n"
        f"bank.liquidity.lcr · alert {escalated.alert.case} · event {escalated.alert.last.id}"
    )


def test_the_end_asks_for_nothing() -> None:
    """A resolved alert names neither an action nor the level that held."""
    resolved = message(notices()[3], names, "zh")
    assert "[resolved (was watch)] Liquidity coverage ratio" in resolved
    assert "预警解除（原级别：关注）" in resolved
    assert "Action" not in resolved
    assert "措施" not in resolved
    assert "lcr < 105%" not in resolved


def test_an_alert_whose_data_ran_out_says_which_form_is_overdue() -> None:
    desk = Desk()
    desk.fold(transition(zone="Asia/Shanghai"))
    titles = {"en": "Liquidity of banks", "zh": "流动性日报"}
    late = Overdue("cn.liquidity.d", "2026-04-01T16:00:00Z", "2026-03-31", titles)
    stale = desk.fold(transition("stale", as_of="2026-04-01T16:00:00Z", overdue=[late], zone="Asia/Shanghai"))
    assert stale is not None
    assert headline(stale, names, "en") == "[data overdue: watch] Liquidity coverage ratio: Bank of Jiangnan (CN001)"
    assert headline(stale, names, "zh") == "【数据逾期未更新（原预警级别：关注）】流动性覆盖率：江南银行（CN001）"
    words = message(stale, names)
    assert "\nFiling was due by 1 April 2026; " in words
    assert "\n报送截止日：2026年4月1日；" in words
    assert (
        "\nOverdue: Liquidity of banks (cn.liquidity.d), due by 1 April 2026, last filed for 31 March 2026\n" in words
    )
    assert "\n逾期未报：流动性日报（cn.liquidity.d），报送截止日：2026年4月1日，最近报送：2026年3月31日\n" in words


def test_a_digest_has_the_gravest_first() -> None:
    """One message for many: a line in each language, the sentence and the link or ids, critical before watch."""
    title, body = digest([notices()[:2], notices()[2:]], names)
    lines = body.splitlines()
    gravest = "[escalated watch → critical] Liquidity coverage ratio: Bank of Jiangnan (CN001)"
    assert title == f"4 changes of alerts at 1 subject; the gravest: {gravest}"
    assert lines[0] == gravest
    assert lines[1] == "【预警升级（关注→严重）】流动性覆盖率：江南银行（CN001）"
    assert [" · alert " in line for line in lines[3::4]] == [True] * 4
    assert "resolved" in lines[-4]
    title, body = digest([notices()], names, "zh", "liquidity", "https://desk.example.org/")
    assert title.startswith("【liquidity】1家机构4项预警变动；最严重：【预警升级（关注→严重）】")
    assert "  https://desk.example.org/alerts/" in body


def test_a_group_of_one_is_that_message_and_of_none_an_error() -> None:
    (first, *others) = notices()
    assert group_message([first], names, "zh") == (headline(first, names, "zh"), message(first, names, "zh"))
    title, body = group_message([first, *others], names)
    assert title.startswith("Bank of Jiangnan (CN001): 4 changes of alerts, the gravest [escalated watch → critical]")
    assert all(notice.alert.last.id in body for notice in [first, *others])
    for make in (group_message, digest):
        with pytest.raises(ValueError, match="at least one notice"):
            make([], names)


def test_an_alert_of_a_rule_that_goes_on_trial_says_so() -> None:
    """It is over for people, and no level fell."""
    desk = Desk()
    desk.fold(transition())
    trial = desk.fold(transition("escalated", as_of="2026-04-05", status="trial"))
    assert trial is not None
    words = message(trial, names)
    assert "Resolved (was watch): the rule is on trial now and notifies nobody" in words
    assert "预警解除（原级别：关注）：规则转为试运行，不再通知" in words
    assert "Action" not in words


def test_numbers() -> None:
    """Each unit reads as people write it."""
    assert number(1.5e9, "CNY") == "1.5bn CNY"
    assert number(-2.5e6, "USD") == "-2.5m USD"
    assert number(80.0, "score") == "80"
    assert number(12_340.0, "CNY") == "12,340 CNY"
    assert number(12_340.0, "CNY", "zh") == "1.234万元"
    assert number(3e11, "CNY", "zh") == "3,000亿元"
    assert number(1.0, "incidents") == "1 incident"
    assert number(1.0, "hours", "zh") == "1小时"
    assert number(-0.0035, "points") == "-0.35 pp"
    assert number(12_345_678.0, "count") == "12,345,678"
    assert number(37.0, "days") == "37 days"
    assert number(float("nan"), "ratio") == "missing"


def test_parts_that_are_missing_leave_no_trace() -> None:
    """A basis without number or article, and a deadline in words, are shown as they are."""
    assert legal_basis({"document": "办法"}, "zh") == "《办法》"
    assert legal_basis({"document": "Act", "number": None, "article": None}, "en") == "Act"
    assert legal_basis({"number": "3"}, "en") == ""
    assert deadline("at once", "en") == "at once"


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e18, max_value=1e18), st.sampled_from(["en", "zh"]))
def test_no_number_has_an_exponent(value: float, language: str) -> None:
    """Whatever the size and the unit, and no more than a hundredth is lost."""
    for unit in ("CNY", "count", "days", "score", "points", "incidents"):
        assert not re.search(r"[0-9][eE]|inf|nan|-0(?![.0-9])", number(value, unit, language))
    scale = {"万亿": 1e12, "亿": 1e8, "万": 1e4, "": 1.0}
    found = re.fullmatch(r"(-?[\d,.]+)(万亿|亿|万|)元", amount(value, "CNY", "zh"))
    assert found is not None
    assert float(found[1].replace(",", "")) * scale[found[2]] == pytest.approx(value, rel=1e-2, abs=1e-6)
