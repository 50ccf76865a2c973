"""The plot of the play: chooses who each story happens to and when, and bends the shocks accordingly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.mistakes import KINDS
from guanlan.synthetic.population import Population
from guanlan.synthetic.shocks import Shocks
from guanlan.synthetic.stories import Story, decline, pulse
from guanlan.synthetic.timeline import Timeline, to_date
from rules.calendar import due
from rules.catalogue import Catalogue

RUN_DAYS, RUN_LOSS = 45, 0.0038
LATE_BY = 8
UPLOAD_BANKS = 12
DAILY = "cn.liquidity.d"


@dataclass(frozen=True, slots=True)
class Cast:
    """What the generator needs to play the stories, as positions in the population and days.

    late: the bank that files its quarter `quarter` only on the day `late_until`. upload: banks whose service
    provider sends every kind of mistake on the day `upload_day`. in_thousands: form, bank and as-of day of
    the filing whose deposits are in thousands; it is corrected within hours.
    """

    late: int
    quarter: int
    late_until: int
    upload: tuple[int, ...]
    upload_day: int
    in_thousands: tuple[str, int, int]


def plant(
    population: Population, timeline: Timeline, catalogue: Catalogue, shocks: Shocks
) -> tuple[tuple[Story, ...], Cast]:
    """Choose the cast, bend `shocks` (on the timeline's grid) in place, and return the stories."""
    live, grid = timeline.live, timeline.grid
    last = len(live) - 1
    codes = [i.code for i in population.institutions]
    pick = _picker(population)

    run = pick("city_bank", lambda i: abs(population.assets[i] - 600e9))
    begin = int(live[min(10, last)])
    stop = int(live[min(10 + RUN_DAYS, last)])
    shocks.deposits[:, run] *= decline(np.searchsorted(live, grid, "right") - 11, RUN_LOSS, RUN_DAYS)

    squeezed = pick("joint_stock_bank", lambda i: abs(population.assets[i] - 5e12))
    tight = int(live[min(55, last)])
    eased = int(live[min(55 + 22, last)])
    shocks.strain[:, squeezed] = pulse(np.searchsorted(live, grid, "right") - 56, 5, 9, 6)

    quarter = int(next((q for q in timeline.quarters if q >= live[0]), timeline.quarters[-1]))
    deadline = due(catalogue.forms["cn.prudential.q"], to_date(quarter)) // 86_400
    late = pick("rural_bank", lambda i: abs(population.assets[i] - 60e9))
    until = int(timeline.business_day(deadline, LATE_BY))

    careless = pick("digital_bank", lambda i: -population.assets[i])
    shocks.unvalidated[grid >= quarter, careless] = 0.28

    sour = pick("rural_bank", lambda i: abs(population.assets[i] - 120e9))
    shocks.bad_loans[:, sour] = 1 + 1.9 * _ramp(timeline, quarters=7)
    thin = pick("life_insurer", lambda i: abs(population.assets[i] - 300e9))
    shocks.solvency[:, thin] = 1 - 0.42 * _ramp(timeline, quarters=5)

    rural = sorted(np.flatnonzero(population.types == "rural_bank"), key=lambda i: population.assets[i])
    upload = tuple(int(i) for i in rural if i not in (late, sour))[:UPLOAD_BANKS]
    thousands = next(int(i) for i in rural[::-1] if i not in (late, sour, *upload))
    upload_day = int(live[min(30, last)])
    thousands_day = int(live[min(38, last)])

    cast = Cast(late, quarter, until, upload, upload_day, (DAILY, thousands, thousands_day))
    found = (
        Story(
            "slow_run",
            {"en": "A slow run on deposits", "zh": "存款缓慢挤兑"},
            (codes[run],),
            to_date(begin),
            to_date(stop),
            rules=("bank.liquidity.slow_run", "bank.liquidity.lcr"),
        ),
        Story(
            "bad_batch",
            {"en": "A provider's upload goes wrong", "zh": "服务商批量报送出错"},
            tuple(codes[i] for i in upload),
            to_date(upload_day),
            to_date(upload_day),
            rejected=dict.fromkeys(KINDS.values(), len(upload)),
        ),
        Story(
            "thousands",
            {"en": "Deposits filed in thousands", "zh": "存款误按千元报送"},
            (codes[thousands],),
            to_date(thousands_day),
            to_date(thousands_day),
            rules=("reporting.quality.jump",),
        ),
        Story(
            "squeeze",
            {"en": "Interbank lenders hold back", "zh": "同业融资收紧"},
            (codes[squeezed],),
            to_date(tight),
            to_date(eased),
            rules=("bank.liquidity.squeeze",),
        ),
        Story(
            "late_filer",
            {"en": "A quarterly return does not come", "zh": "季报迟报"},
            (codes[late],),
            to_date(quarter),
            to_date(until),
            rules=("reporting.late.prudential",),
        ),
        Story(
            "unvalidated_models",
            {"en": "AI models used without validation", "zh": "人工智能模型未经验证即投产"},
            (codes[careless],),
            to_date(quarter),
            to_date(int(live[-1])),
            rules=("digital.ai.unvalidated",),
        ),
        Story(
            "bad_loans",
            {"en": "Bad loans climb for years", "zh": "不良贷款逐季上升"},
            (codes[sour],),
            to_date(int(timeline.quarters[0])),
            to_date(int(timeline.quarters[-1])),
            rules=("bank.credit.npl", "bank.credit.coverage"),
        ),
        Story(
            "thin_insurer",
            {"en": "Solvency wears away", "zh": "保险公司偿付能力持续下滑"},
            (codes[thin],),
            to_date(int(timeline.quarters[0])),
            to_date(int(timeline.quarters[-1])),
            rules=("insurer.solvency.comprehensive",),
        ),
    )
    return found, cast


def _ramp(timeline: Timeline, quarters: int) -> NDArray[np.float64]:
    """0 until `quarters` quarters before the live days, then even steps up to 1 at their beginning [grid]."""
    steps = np.searchsorted(timeline.quarters, timeline.grid, "right") - np.searchsorted(
        timeline.quarters, timeline.reference
    )
    return np.clip((steps + quarters) / quarters, 0, 1)


def _picker(population: Population) -> Callable[[str, Callable[[int], float]], int]:
    """Return a function that gives the institution of a type with the smallest key; each only once."""
    taken: set[int] = set()

    def pick(type_: str, key: Callable[[int], float]) -> int:
        candidates = [int(i) for i in np.flatnonzero(population.types == type_) if int(i) not in taken]
        chosen = min(candidates, key=key)
        taken.add(chosen)
        return chosen

    return pick
