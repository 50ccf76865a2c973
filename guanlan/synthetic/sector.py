"""A national sector: institutions, their filings in order of arrival, exposures, and planted stories."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.banks import bank_figures, borrower_scale, draw_capital, draw_plan
from guanlan.synthetic.digital import digital_figures
from guanlan.synthetic.holdings import holdings, importance, scored
from guanlan.synthetic.insurers import TRAITS as INSURER_TRAITS
from guanlan.synthetic.insurers import insurer_figures
from guanlan.synthetic.market import list_shares
from guanlan.synthetic.mistakes import KINDS, spoil
from guanlan.synthetic.network import INSTRUMENTS, connect
from guanlan.synthetic.panels import FORMS, HOLDINGS, IMPORTANCE, Panel, schedule
from guanlan.synthetic.plots import plant
from guanlan.synthetic.population import populate
from guanlan.synthetic.providers import PROVIDERS, draw_services
from guanlan.synthetic.shocks import Shocks
from guanlan.synthetic.timeline import DAY, lay_out, to_date
from rules.catalogue import Catalogue, load_catalogue
from streams.wire import encode

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

END = date(2026, 6, 30)
VAGUE = 2
"""So many of the smallest insurers know what they have lent in all, and not to whom: the network is reconstructed."""

REVISED = {
    "cn.balance.q": "operating_income",
    "cn.prudential.q": "single_client_loan_ratio",
    "cn.solvency.q": "claims_paid",
    "cn.digital.q": "it_spend_share",
}
GRAINS = {"currency": 1e4, "count": 1.0, "days": 1.0, "minutes": 1.0, "hours": 0.1, "years": 0.1}


class Record(NamedTuple):
    """One record as it would be sent: topic (without prefix), key, value, and when it arrives (seconds)."""

    topic: str
    key: str
    value: bytes
    at: int


class Sector:
    """A synthetic sector; the same arguments give the same bytes.

    seed: of everything random. institutions: how many, 40 at least. quarters: of history before the live
    days. live_days: business days that are played live, up to `end`. All stories need 120 of them.

    >>> sector = Sector(seed=1, institutions=40, quarters=2, live_days=20)
    >>> len(sector.institutions), sector.stories[0].id
    (40, 'slow_run')
    """

    def __init__(
        self, seed: int = 7, institutions: int = 200, quarters: int = 12, live_days: int = 120, end: date = END
    ) -> None:
        rng = np.random.default_rng(seed)
        self.catalogue: Catalogue = load_catalogue(["cn"])
        self.timeline = lay_out(end, quarters, live_days)
        self.population = populate(institutions, rng)
        self.institutions = self.population.institutions
        grid = self.timeline.grid
        self._shocks = Shocks.none(len(grid), institutions)
        self.stories, self._cast = plant(self.population, self.timeline, self.catalogue, self._shocks)
        capital = draw_capital(self.population, rng)
        self._plan = draw_plan(self.population, grid, self.timeline.reference, rng)
        loss_capital = self._loss_capital(capital.tier1_capital)
        self._network = connect(self.population, loss_capital, rng)
        panels = self._panels(capital, rng)
        self.panels = panels | self._further(panels["cn.balance.q"], np.random.default_rng((seed, len(FORMS))))
        self.market = list_shares(self.population, self.timeline, loss_capital, np.random.default_rng((seed, 1)))
        self._vague = frozenset(np.flatnonzero(~self.population.banks)[-VAGUE:].tolist())
        self._services = draw_services(institutions, np.random.default_rng((seed, len(PROVIDERS))))
        self._events = schedule(self.panels, self.catalogue, self.timeline, self._cast, rng)

    @property
    def live_from(self) -> int:
        """Second at which the live days begin; what arrives before is history."""
        return int(self.timeline.live[0]) * DAY

    def filings(self, since: int | None = None, until: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the good filings that arrive in [since, until) as dictionaries of the wire format."""
        for at, panel, day, member, revision in self._between(since, until):
            yield self._filing(at, panel, day, member, revision)

    def records(self, since: int | None = None, until: int | None = None) -> Iterator[Record]:
        """Yield everything that arrives in [since, until): filings good and bad, exposure reports, and quotes."""
        low, high = _bounds(since, until)
        others = (*self._bad_records(), *self._exposure_records(), *self._quote_records())
        extra = sorted(others, key=lambda r: (r.at, r.topic, r.key))
        waiting = iter([r for r in extra if low <= r.at < high])
        following = next(waiting, None)
        for filing in self._between(since, until):
            while following is not None and following.at <= filing[0]:
                yield following
                following = next(waiting, None)
            value = msgspec.json.encode(self._filing(*filing))
            yield Record("filings", self.institutions[filing[1].members[filing[3]]].code, value, filing[0])
        if following is not None:
            yield following
            yield from waiting

    def exposures(self) -> Iterator[dict[str, Any]]:
        """Yield exposure reports in order of arrival: at quarter ends, and at month ends of the live days."""
        network, plan = self._network, self._plan
        borrowers = borrower_scale(self._shocks.strain)
        claims, codes = network.claims, [i.code for i in self.institutions]
        instruments = [INSTRUMENTS[i] for i in network.instruments]
        for step in self._exposure_steps():
            as_of = int(plan.days[step])
            amounts = np.round(network.scaled(plan.lenders[step], borrowers[step]).data, -4).tolist()
            at = int(self.timeline.business_day(as_of, 2)) * DAY + 3600
            owed: dict[int, list[dict[str, Any]]] = {}
            for lender, code in enumerate(codes):
                for k in range(claims.indptr[lender], claims.indptr[lender + 1]):
                    if amounts[k] > 0:
                        entry = {"counterparty": code, "amount": amounts[k], "instrument": instruments[k]}
                        owed.setdefault(int(claims.indices[k]), []).append(entry)
            for lender, code in enumerate(codes):
                lent = [
                    {"counterparty": codes[claims.indices[k]], "amount": amounts[k], "instrument": instruments[k]}
                    for k in range(claims.indptr[lender], claims.indptr[lender + 1])
                    if amounts[k] > 0
                ]
                told: dict[str, Any] = {"exposures": lent, "borrowings": owed.get(lender, [])}
                if lender in self._vague:
                    borrowed = sum(entry["amount"] for entry in owed.get(lender, []))
                    told = {"totals": {"lent": sum(entry["amount"] for entry in lent), "borrowed": borrowed}}
                yield {
                    "institution": code,
                    "as_of": to_date(as_of).isoformat(),
                    "revision": 0,
                    "submitted_at": _instant(at + lender % 3600),
                    **told,
                    "services": self._services[lender],
                }

    def _loss_capital(self, tier1: Floats) -> Floats:
        capital = np.empty(len(self.institutions))
        banks = self.population.banks
        capital[banks] = tier1
        insurers = ~banks
        share = [INSURER_TRAITS[t].equity for t in self.population.types[insurers]]
        capital[insurers] = self.population.assets[insurers] * share
        return capital

    def _panels(self, capital: Any, rng: np.random.Generator) -> dict[str, Panel]:
        timeline, population = self.timeline, self.population
        grid, everyone = timeline.grid, np.arange(len(self.institutions))
        daily, quarterly = np.searchsorted(grid, timeline.daily), np.searchsorted(grid, timeline.quarters)
        banks, insurers = np.flatnonzero(population.banks), np.flatnonzero(~population.banks)
        own = bank_figures(population, capital, self._network, self._plan, self._shocks, rng)
        hit = self._shocks.take(quarterly, everyone)
        theirs = insurer_figures(population, timeline.quarters, timeline.reference, hit, rng)
        digital = digital_figures(population, timeline.quarters, timeline.reference, hit, rng)
        at_quarters = {name: path[quarterly] for name, path in own.items()}
        both = {name: np.empty((len(timeline.quarters), len(everyone))) for name in theirs if name in own}
        for name, path in both.items():
            path[:, banks], path[:, insurers] = at_quarters[name], theirs[name]
        return {
            "cn.balance.q": self._panel("cn.balance.q", timeline.quarters, everyone, both),
            "cn.prudential.q": self._panel("cn.prudential.q", timeline.quarters, banks, at_quarters),
            "cn.liquidity.d": self._panel(
                "cn.liquidity.d", timeline.daily, banks, {name: path[daily] for name, path in own.items()}
            ),
            "cn.solvency.q": self._panel("cn.solvency.q", timeline.quarters, insurers, theirs),
            "cn.digital.q": self._panel("cn.digital.q", timeline.quarters, everyone, digital),
        }

    def _further(self, sheets: Panel, rng: np.random.Generator) -> dict[str, Panel]:
        """Return what is held by asset class, and indicators of importance at year ends, of the balance sheets."""
        quarters, everyone = self.timeline.quarters, np.arange(len(self.institutions))
        sheet = sheets.values[:, sheets.indicators.index("total_assets")]
        year_ends = quarters[quarters.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12 == 11]
        members = scored(self.population)
        yearly = sheet[np.searchsorted(quarters, year_ends)][:, members]
        return {
            HOLDINGS: self._panel(HOLDINGS, quarters, everyone, holdings(self.population.types, sheet, rng)),
            IMPORTANCE: self._panel(IMPORTANCE, year_ends, members, importance(yearly, rng)),
        }

    def _panel(self, form: str, days: Longs, members: NDArray[np.intp], figures: dict[str, Floats]) -> Panel:
        names = self.catalogue.reported(form)
        values = np.empty((len(days), len(names), len(members)))
        for k, name in enumerate(names):
            grain = GRAINS.get(self.catalogue.indicators[name].unit)
            path = figures[name]
            values[:, k, :] = np.round(path, 6) if grain is None else np.round(path / grain) * grain
        return Panel(form, days, members, names, values)

    def _between(self, since: int | None, until: int | None) -> Iterator[tuple[int, Panel, int, int, int]]:
        low, high = np.searchsorted(self._events["at"], _bounds(since, until))
        panels = [self.panels[form] for form in FORMS]
        columns = [self._events[name][low:high].tolist() for name in ("at", "panel", "day", "member", "revision")]
        for at, panel, day, member, revision in zip(*columns, strict=True):
            yield at, panels[panel], day, member, revision

    def _filing(self, at: int, panel: Panel, day: int, member: int, revision: int) -> dict[str, Any]:
        position = int(panel.members[member])
        numbers = panel.values[day, :, member].tolist()
        values: dict[str, Any] = {
            name: None if math.isnan(x) else x for name, x in zip(panel.indicators, numbers, strict=True)
        }
        as_of = int(panel.days[day])
        if revision and panel.form in REVISED:
            values[REVISED[panel.form]] = round(values[REVISED[panel.form]] * 1.004, 6)
        elif not revision and (panel.form, position, as_of) == self._cast.in_thousands:
            values["total_deposits"] = values["total_deposits"] / 1000
        return {
            "institution": self.institutions[position].code,
            "form": panel.form,
            "as_of": to_date(as_of).isoformat(),
            "revision": revision,
            "submitted_at": _instant(at),
            "values": values,
        }

    def _bad_records(self) -> Iterator[Record]:
        """The service provider's upload: every kind of mistake, once for each of its banks, before the good filings."""
        panel = self.panels["cn.liquidity.d"]
        day = int(np.searchsorted(panel.days, self._cast.upload_day))
        at = int(self.timeline.business_day(self._cast.upload_day, 1)) * DAY + 900
        for position in self._cast.upload:
            member = int(np.searchsorted(panel.members, position))
            for second, kind in enumerate(KINDS):
                filing = self._filing(at + second, panel, day, member, 0)
                yield Record("filings", filing["institution"], spoil(filing, kind), at + second)

    def _exposure_steps(self) -> list[int]:
        days = self._plan.days
        live = self.timeline.live
        month = live.astype("datetime64[D]").astype("datetime64[M]")
        month_ends = live[:-1][month[1:] != month[:-1]]
        wanted = np.union1d(month_ends, self.timeline.quarters[self.timeline.quarters >= live[0] - 400])
        arrived = self.timeline.business_day(wanted, 2) <= live[-1]
        steps: list[int] = np.searchsorted(days, wanted[arrived]).tolist()
        return steps

    def _exposure_records(self) -> Iterator[Record]:
        for report in self.exposures():
            at = int(np.datetime64(report["submitted_at"].rstrip("Z"), "s").astype(int))
            yield Record("exposures", report["institution"], msgspec.json.encode(report), at)

    def _quote_records(self) -> Iterator[Record]:
        for at, quote in self.market.quotes():
            yield Record("market.quotes", quote.series, encode(quote), at)


def _bounds(since: int | None, until: int | None) -> tuple[int, int]:
    return (-(2**62) if since is None else since, 2**62 if until is None else until)


def _instant(at: int) -> str:
    return f"{np.datetime64(at, 's')}Z"
