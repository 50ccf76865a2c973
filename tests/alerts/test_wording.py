"""What people read: golden messages, compared whole."""

from __future__ import annotations

from alerts.desk import Desk, Notice
from alerts.sinks.apprise import digest
from alerts.wording import deadline, headline, legal_basis, message, number
from rules.transitions import Overdue
from tests.alerts.samples import episode, names, transition


def notices() -> list[Notice]:
    """Return the notices of one episode."""
    desk = Desk()
    return [notice for event in episode() if (notice := desk.fold(event)) is not None]


def test_an_escalation_in_full() -> None:
    """Below its headline: both languages, evidence with its filings, legal basis, action and deadline, ids."""
    escalated = notices()[1]
    assert message(escalated, names) == (
        "Bank of Jiangnan: LCR 97.3%, minimum 100%\n"
        "As of 2026-03-05\n"
        "Basis: 商业银行流动性风险管理办法 (中国银行保险监督管理委员会令2018年第3号), art. 37\n"
        "Action: Ask for a funding plan (within 5 business days)\n"
        "\n"
        "[升级 关注 → 严重] 流动性覆盖率: 江南银行 (CN001)\n"
        "江南银行流动性覆盖率97.3%,监管要求100%\n"
        "数据日期 2026-03-05\n"
        "依据：《商业银行流动性风险管理办法》（中国银行保险监督管理委员会令2018年第3号）第37条\n"
        "措施：报送融资计划（时限5个工作日）\n"
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
    assert resolved.startswith("江南银行流动性覆盖率97.3%,监管要求100%\n数据日期 2026-03-13\n")
    assert "[resolved (watch)] Liquidity coverage ratio" in resolved
    assert "Action" not in resolved
    assert "措施" not in resolved
    assert "lcr < 105%" not in resolved


def test_an_alert_whose_data_ran_out_says_which_form_is_overdue() -> None:
    desk = Desk()
    desk.fold(transition())
    late = Overdue("cn.liquidity.d", "2026-04-02", "2026-03-31", {"en": "Liquidity of banks", "zh": "流动性日报"})
    stale = desk.fold(transition("stale", as_of="2026-04-02", overdue=[late]))
    assert stale is not None
    assert headline(stale, names, "en") == "[stale: watch] Liquidity coverage ratio: Bank of Jiangnan (CN001)"
    assert headline(stale, names, "zh") == "[数据中断: 关注] 流动性覆盖率: 江南银行 (CN001)"
    words = message(stale, names)
    assert "\nOverdue since 2026-04-02: Liquidity of banks (cn.liquidity.d), last filed for 2026-03-31\n" in words
    assert "\n报表逾期（自2026-04-02）：流动性日报 (cn.liquidity.d)，最近报送日期2026-03-31\n" in words


def test_a_digest_has_the_gravest_first() -> None:
    """One message for many: a line in each language and the ids, critical before watch."""
    title, body = digest(notices(), names)
    lines = body.splitlines()
    assert title == "4 changes of alerts / 4项预警变动"
    assert lines[0] == "[escalated watch → critical] Liquidity coverage ratio: Bank of Jiangnan (CN001)"
    assert lines[1] == "[升级 关注 → 严重] 流动性覆盖率: 江南银行 (CN001)"
    assert [line.split()[0] for line in lines[2::3]] == ["alert"] * 4
    assert "resolved" in lines[-3]


def test_numbers() -> None:
    """Each unit reads as people write it."""
    assert number(1.5e9, "CNY") == "1.5bn CNY"
    assert number(-2.5e6, "USD") == "-2.5m USD"
    assert number(80.0, "score") == "80"
    assert number(12_345_678.0, "count") == "12,345,678"
    assert number(37.0, "days") == "37 days"
    assert number(float("nan"), "ratio") == "missing"


def test_parts_that_are_missing_leave_no_trace() -> None:
    """A basis without number or article, and a deadline in words, are shown as they are."""
    assert legal_basis({"document": "办法"}, "zh") == "《办法》"
    assert legal_basis({"document": "Act", "number": None, "article": None}, "en") == "Act"
    assert legal_basis({"number": "3"}, "en") == ""
    assert deadline("at once", "en") == "at once"
