"""The system side on a real broker: exposures and equity become measures, and rules read them."""

from __future__ import annotations

import asyncio

import msgspec
import numpy as np
import pytest

from rules.catalogue import SYSTEM, load_catalogue
from rules.pack import PackText, Program, compile_packs
from rules.registry import Institution
from systemic.network.debtrank import impact_vulnerability
from tests.worker.field import Field, Sent, until

pytestmark = pytest.mark.needs("kafka")

PACK = """
pack: network
version: "1"
title: {en: The network}
catalogue: [cn]
rules:
  - id: network.impact
    title: {en: An institution whose failure would hurt}
    levels: {warning: debtrank_impact > 10%}
    message: {en: "{institution.name}: {debtrank_impact:.1%}"}
  - id: network.concentration
    title: {en: Borrowing is concentrated}
    scope: system
    levels: {watch: interbank_borrower_hhi > 0.4}
    message: {en: "{interbank_borrower_hhi:.2f}"}
  - id: network.thin
    title: {en: Impact over own equity ratio}
    levels: {warning: debtrank_impact > 10% and equity_ratio < 6%}
    message: {en: "{institution.name}: {equity_ratio:.1%}"}
  - id: watch.loss
    title: {en: Negative equity}
    levels: {critical: equity < 0}
    message: {en: "{institution.name}"}
"""

CODES = ("CN001", "CN002", "CN003", "CN004", "CN005")
EQUITY = {"CN001": 50e9, "CN002": 40e9, "CN003": 30e9, "CN004": 20e9, "CN005": 10e9}
CLAIMS = {
    "CN001": {"CN002": 5e9},
    "CN002": {"CN001": 20e9},
    "CN003": {"CN001": 15e9},
    "CN004": {"CN001": 10e9, "CN003": 2e9},
    "CN005": {"CN001": 5e9},
}
DATE = "2026-03-31"


def program() -> Program:
    """Compile the pack against the catalogue of China."""
    return compile_packs([PackText(PACK, "network.yaml")], load_catalogue(["cn"]))


def institutions() -> list[Institution]:
    """Return five banks."""
    return [Institution(code, {"en": f"Bank {code}"}, type="city_bank", region="East") for code in CODES]


def balance(code: str, equity: float, revision: int = 0) -> Sent:
    """Return a bank's balance sheet."""
    values = {"equity": equity, "total_assets": 20 * equity, "total_liabilities": 19 * equity}
    return Sent(
        code,
        msgspec.json.encode(
            {
                "institution": code,
                "form": "cn.balance.q",
                "as_of": DATE,
                "revision": revision,
                "submitted_at": "2026-04-10T08:00:00Z",
                "values": values,
            }
        ),
    )


def report(code: str, claims: dict[str, float], revision: int = 0, **changes: object) -> Sent:
    """Return a bank's exposure report."""
    body = {
        "institution": code,
        "as_of": DATE,
        "revision": revision,
        "submitted_at": "2026-04-12T08:00:00Z",
        "exposures": [{"counterparty": c, "amount": a, "instrument": "interbank_loan"} for c, a in claims.items()],
    }
    return Sent(code, msgspec.json.encode(body | changes))


def measures(field: Field) -> dict[tuple[str, str], float]:
    """Return the last value of each measure and subject on the topic."""
    found = {}
    for record in field.read("measures"):
        body = msgspec.json.decode(record.value or b"")
        found[body["measure"], body["subject"]] = body["value"]
    return found


def reasons(field: Field) -> dict[str, str]:
    """Return why measures have no value, by the last word on each."""
    bodies = [msgspec.json.decode(record.value or b"") for record in field.read("measures")]
    return {body["measure"]: body.get("reason", "") for body in bodies if body["subject"] == SYSTEM}


def expected_impacts(claims: dict[str, dict[str, float]], equity: dict[str, float]) -> dict[str, float]:
    """Return each bank's DebtRank impact, computed apart."""
    matrix = np.array([[claims.get(i, {}).get(j, 0.0) for j in CODES] for i in CODES])
    buffer = np.array([equity[code] for code in CODES])
    return dict(zip(CODES, impact_vulnerability(matrix, buffer, buffer).impact.tolist(), strict=True))


def test_measures_are_computed_published_and_judged(field: Field) -> None:
    """Impact and concentration are those of the network reported, and rules on them fire; a revision changes both."""
    field.prepare(institutions())

    async def run() -> None:
        async with field.worker(program()):
            field.send([balance(code, equity) for code, equity in EQUITY.items()])
            field.send([report(code, claims) for code, claims in CLAIMS.items()], "exposures")
            await until(lambda: ("debtrank_impact", "CN001") in measures(field))
            await until(lambda: measures(field)["exposure_coverage", SYSTEM] == 1.0)
            first = expected_impacts(CLAIMS, EQUITY)
            await until(lambda: measures(field)["debtrank_impact", "CN001"] == pytest.approx(first["CN001"]))
            field.send([report("CN002", {"CN001": 1e9}, revision=1)], "exposures")
            second = expected_impacts({**CLAIMS, "CN002": {"CN001": 1e9}}, EQUITY)
            assert second["CN001"] != pytest.approx(first["CN001"])
            await until(lambda: measures(field)["debtrank_impact", "CN001"] == pytest.approx(second["CN001"]))

    asyncio.run(run())
    found = measures(field)
    lent = {code: sum(claims.values()) for code, claims in {**CLAIMS, "CN002": {"CN001": 1e9}}.items()}
    total = sum(lent.values())
    assert found["interbank_lender_hhi", SYSTEM] == pytest.approx(sum((x / total) ** 2 for x in lent.values()))
    assert found["interbank_largest_share", "CN004"] == pytest.approx(10 / 12)
    fired = {(t.rule, t.subject) for t in field.transitions().values() if t.state == "firing"}
    assert ("network.impact", "CN001") in fired
    assert ("network.thin", "CN001") in fired
    assert ("network.concentration", SYSTEM) in fired
    assert not any(rule == "watch.loss" for rule, _ in fired)


def test_measures_wait_for_company(field: Field) -> None:
    """With two of five reports only coverage is known, the rest says why not, and no rule has an opinion."""
    field.prepare(institutions())

    async def run() -> None:
        async with field.worker(program()):
            field.send([balance(code, equity) for code, equity in EQUITY.items()])
            field.send([report(code, CLAIMS[code]) for code in CODES[:2]], "exposures")
            await until(lambda: measures(field).get(("exposure_coverage", SYSTEM)) == pytest.approx(0.4))

    asyncio.run(run())
    known = {name for (name, _), value in measures(field).items() if value is not None}
    assert known == {"exposure_coverage", "provider_coverage"}
    assert reasons(field)["debtrank_system"] == "too_few_reports"
    assert reasons(field)["exposure_mismatch_share"] == "no_borrowings"
    assert reasons(field)["provider_outage_reach"] == "too_few_services"
    assert field.transitions() == {}


SPREAD = """
pack: spread
version: "1"
title: {en: A measure of the system beside an institution's own number}
catalogue: [cn]
rules:
  - id: spread.thin
    title: {en: Thin capital while contagion would be large}
    levels: {warning: debtrank_system > 1% and equity < 25bn}
    message: {en: "{institution.name}: {debtrank_system:.1%}"}
"""


def test_rules_on_institutions_read_measures_of_the_system(field: Field) -> None:
    """The measure is filed for every institution because a rule reads it so, and published once."""
    field.prepare(institutions())
    thin = compile_packs([PackText(SPREAD, "spread.yaml")], load_catalogue(["cn"]))

    def firing() -> set[str]:
        return {t.subject for t in field.transitions().values() if t.state == "firing"}

    async def run() -> None:
        async with field.worker(thin):
            field.send([balance(code, equity) for code, equity in EQUITY.items()])
            field.send([report(code, claims) for code, claims in CLAIMS.items()], "exposures")
            await until(lambda: firing() == {"CN004", "CN005"})

    asyncio.run(run())
    assert {subject for name, subject in measures(field) if name == "debtrank_system"} == {SYSTEM}


def test_both_sides_and_providers(field: Field) -> None:
    """A borrower that admits less than its lender claims is found; a provider's outage stops what hangs on it."""
    field.prepare(institutions())
    owed = [{"counterparty": "CN002", "amount": 15e9}, {"counterparty": "CN003", "amount": 15e9}]
    services = [{"provider": "CLOUD-A", "share": 0.4, "kind": "cloud"}, {"provider": "CLOUD-A", "share": 0.1}]

    async def run() -> None:
        async with field.worker(program()):
            field.send([balance(code, equity) for code, equity in EQUITY.items()])
            reports = [report(code, claims, services=services) for code, claims in CLAIMS.items() if code != "CN001"]
            field.send([*reports, report("CN001", CLAIMS["CN001"], services=services, borrowings=owed)], "exposures")
            await until(lambda: measures(field).get(("provider_outage_reach", SYSTEM)) == pytest.approx(0.5))

    asyncio.run(run())
    found = measures(field)
    claimed = {code: claims["CN001"] for code, claims in CLAIMS.items() if "CN001" in claims}
    assert found["exposure_mismatch_share", SYSTEM] == pytest.approx(1 - claimed["CN003"] / sum(claimed.values()))
    assert found["exposure_mismatch_own_share", "CN002"] == 1.0
    assert found["exposure_mismatch_own_share", "CN003"] == 0.0
    assert found["provider_concentration", SYSTEM] == 1.0
    assert found["clearing_defaults", SYSTEM] == 0.0


def test_the_book_outlives_its_worker(field: Field) -> None:
    """Reports of before a restart, on another disk, count in measures computed after it."""
    field.prepare(institutions())

    async def run() -> None:
        async with field.worker(program(), data_dir=field.folder / "one"):
            field.send([balance(code, equity) for code, equity in EQUITY.items()])
            field.send([report(code, CLAIMS[code]) for code in CODES[:3]], "exposures")
            await until(lambda: measures(field).get(("exposure_coverage", SYSTEM)) == pytest.approx(0.6))
            await until(lambda: field.caught_up("exposures") and field.caught_up("cross-section"))
        async with field.worker(program(), data_dir=field.folder / "two"):
            field.send([report(code, CLAIMS[code]) for code in CODES[3:]], "exposures")
            impact = expected_impacts(CLAIMS, EQUITY)["CN001"]
            await until(lambda: measures(field).get(("debtrank_impact", "CN001")) == pytest.approx(impact))

    asyncio.run(run())


def test_bad_reports_are_set_aside(field: Field) -> None:
    """Exposure reports are accepted or rejected whole, with the reasons that filings have."""
    field.prepare(institutions())
    good = report("CN001", CLAIMS["CN001"], revision=1)
    bad = {
        "not_json": Sent("CN001", b"{"),
        "out_of_range": report("CN001", {"CN002": -1.0}, revision=2),
        "unknown_institution": report("CN999", {"CN001": 1.0}),
        "duplicate": good,
        "revision_backwards": report("CN001", {"CN003": 1.0}),
    }

    async def run() -> None:
        async with field.worker(program()):
            field.send([good, *bad.values()], "exposures")
            await until(lambda: field.caught_up("exposures"))

    asyncio.run(run())
    assert {h["reason"]: r.value for h, r in field.rejected()} == {k: s.value for k, s in bad.items()}
    assert {h["topic"] for h, _ in field.rejected()} == {field.topic("exposures")}


def test_both_topics_of_the_system_come_to_one_worker(field: Field) -> None:
    """With two workers, exposures and cross-section are on the same one, and its measures see all partitions."""
    field.prepare(institutions())

    async def run() -> None:
        async with field.worker(program()) as one, field.worker(program()) as two:
            both = (one, two)
            await until(lambda: [len(w.watch.partitions or ()) for w in both] == [2, 2])
            assert sorted(bool(w.system.partitions) for w in both) == [False, True]
            field.send([balance(code, equity) for code, equity in EQUITY.items()])
            field.send([report(code, claims) for code, claims in CLAIMS.items()], "exposures")
            impact = expected_impacts(CLAIMS, EQUITY)["CN001"]
            await until(lambda: measures(field).get(("debtrank_impact", "CN001")) == pytest.approx(impact))

    asyncio.run(run())
