"""Transitions for tests: one of everything, and episodes."""

from __future__ import annotations

from typing import Any

from rules.transitions import Reading, State, Transition, alert_id, transition_id

LEVEL_OF = {
    "firing": "watch",
    "escalated": "critical",
    "eased": "watch",
    "resolved": "none",
    "pending": "watch",
    "worsened": "critical",
    "stale": "watch",
    "suppressed": "watch",
    "released": "watch",
}


def transition(
    state: State = "firing",
    subject: str = "CN001",
    rule: str = "bank.liquidity.lcr",
    started: str = "2026-03-31",
    as_of: str = "2026-03-31",
    seen_at: str = "2026-04-01T08:00:00Z",
    **others: Any,
) -> Transition:
    """Return a transition with true ids; `others` replaces any field."""
    severity = others.pop("severity", LEVEL_OF[state])
    revision = others.pop("revision", 0)
    alert = "" if state == "pending" else alert_id(rule, subject, started)
    fields: dict[str, Any] = {
        "id": transition_id(rule, subject, alert, as_of, state, severity, revision),
        "alert_id": alert,
        "rule": rule,
        "subject": subject,
        "state": state,
        "severity": severity,
        "previous": "none" if state in ("firing", "pending") else "watch",
        "as_of": as_of,
        "started": "" if state == "pending" else started,
        "seen_at": seen_at,
        "revision": revision,
        "cause": "filed",
        "pack": "bank-prudential",
        "pack_version": "2026.1",
        "rule_hash": "7f3a9c",
        "condition": "lcr < 105%",
        "values": {
            "lcr": Reading(0.973, "ratio", as_of, 0, 4711),
            "total_deposits": Reading(1.2e12, "CNY", as_of, 1, 4711),
            "nsfr": Reading(None, "ratio"),
        },
        "title": {"en": "Liquidity coverage ratio", "zh": "流动性覆盖率"},
        "message": {
            "en": "Bank of Jiangnan: LCR 97.3%, minimum 100%",
            "zh": "江南银行流动性覆盖率97.3%,监管要求100%",
        },
        "basis": {
            "document": "商业银行流动性风险管理办法",
            "number": "中国银行保险监督管理委员会令2018年第3号",
            "article": "37",
            "verified_on": None,
        },
        "action": {"en": "Ask for a funding plan", "zh": "报送融资计划"},
        "deadline": "5bd",
        "route": "liquidity",
        "tags": ["liquidity"],
        "labels": {"type": "city_bank", "region": "Jiangsu", "peer_group": "city-large"},
    }
    return Transition(**{**fields, **others})


def episode(subject: str = "CN001", rule: str = "bank.liquidity.lcr", month: int = 3) -> list[Transition]:
    """Return the four transitions of an episode that opens, worsens, eases and ends within one month."""
    started = f"2026-{month:02}-01"

    def one(state: State, day: int) -> Transition:
        date = f"2026-{month:02}-{day:02}"
        return transition(state, subject, rule, started, date, f"{date}T08:00:00Z")

    return [one("firing", 1), one("escalated", 5), one("eased", 9), one("resolved", 13)]


def names(subject: str) -> dict[str, str]:
    """Return the names of the institutions of these samples."""
    return {"CN001": {"en": "Bank of Jiangnan", "zh": "江南银行"}}.get(subject, {})
