"""Prometheus and Alertmanager, the real programs, start and answer."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.programs import Program


def test_prometheus_answers_a_query(prometheus: Callable[..., Program]) -> None:
    """A started Prometheus evaluates an expression and has read the rule file beside its configuration."""
    rules = "groups: [{name: g, rules: [{record: 'guanlan:one', expr: 'vector(1)'}]}]"
    program = prometheus("rule_files: [rules.yml]\n", files={"rules.yml": rules})
    answer = httpx.get(f"{program.url}/api/v1/query", params={"query": "1 + 1"}).json()
    groups = httpx.get(f"{program.url}/api/v1/rules").json()["data"]["groups"]
    assert answer["data"]["result"][1] == "2"
    assert [rule["name"] for group in groups for rule in group["rules"]] == ["guanlan:one"]


def test_alertmanager_takes_an_alert(alertmanager: Callable[..., Program]) -> None:
    """A started Alertmanager takes an alert by its v2 API and lists it."""
    program = alertmanager("route: {receiver: none}\nreceivers: [{name: none}]\n")
    alert = {"labels": {"alertname": "bank.liquidity.lcr", "institution": "CN001"}}
    sent = httpx.post(f"{program.url}/api/v2/alerts", json=[alert])
    listed = httpx.get(f"{program.url}/api/v2/alerts").json()
    assert sent.status_code == 200
    assert [entry["labels"] for entry in listed] == [alert["labels"]]
