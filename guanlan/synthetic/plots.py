"""The plot of the play: chooses who each story happens to and when, and bends the shocks accordingly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.mistakes import KINDS
from guanlan.synthetic.population import Population
from guanlan.synthetic.shocks import Shocks
from guanlan.synthetic.stories import Story, decline, pulse
from guanlan.synthetic.timeline import DAY, Timeline, to_date
from rules.calendar import due
from rules.catalogue import Catalogue

DAILY = "cn.liquidity.d"
RUN_FROM, RUN_DAYS, RUN_LOSS = 10, 45, 0.0038
UPLOAD_ON, UPLOAD_BANKS = 30, 12
THOUSANDS_ON = 38
SQUEEZE_FROM, SQUEEZE_RISE, SQUEEZE_HOLD, SQUEEZE_FALL = 55, 5, 9, 6
LATE_BY = 8
UNVALIDATED = 0.28
SOUR_QUARTERS, SOUR_FACTOR = 7, 2.9
THIN_QUARTERS, THIN_FACTOR = 5, 0.58


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


@dataclass(slots=True)
class Plot:
    """A sector before the play. `taken` are those to whom something happens already."""

    population: Population
    timeline: Timeline
    catalogue: Catalogue
    shocks: Shocks
    taken: set[int] = field(default_factory=set)

    def pick(self, type_: str, assets: float) -> int:
        """Return the institution of a type whose total assets are nearest to `assets`; each only once."""
        free = [int(i) for i in np.flatnonzero(self.population.types == type_) if int(i) not in self.taken]
        chosen = min(free, key=lambda i: abs(float(self.population.assets[i]) - assets))
        self.taken.add(chosen)
        return chosen

    def live_day(self, number: int) -> int:
        """Return the `number`-th live day, or the last."""
        return int(self.timeline.live[min(number, len(self.timeline.live) - 1)])

    def elapsed(self, since: int) -> NDArray[np.int64]:
        """Return for each day of the grid how many live days have passed since the `since`-th."""
        return np.searchsorted(self.timeline.live, self.timeline.grid, "right") - since - 1

    @property
    def quarter(self) -> int:
        """The first quarter end that is reported in the live days."""
        live = self.timeline.live[0]
        return int(next((q for q in self.timeline.quarters if q >= live), self.timeline.quarters[-1]))

    def story(
        self,
        ident: str,
        title: dict[str, str],
        who: tuple[int, ...],
        days: tuple[int, int],
        rules: tuple[str, ...] = (),
        rejected: Mapping[str, int] | None = None,
    ) -> Story:
        """Return a story told of positions and days since the epoch."""
        codes = tuple(self.population.institutions[i].code for i in who)
        return Story(ident, title, codes, to_date(days[0]), to_date(days[1]), rules, rejected or {})


def plant(
    population: Population, timeline: Timeline, catalogue: Catalogue, shocks: Shocks
) -> tuple[tuple[Story, ...], Cast]:
    """Choose the cast, bend `shocks` (on the timeline's grid) in place, and return the stories."""
    plot = Plot(population, timeline, catalogue, shocks)
    run, squeeze = _slow_run(plot), _squeeze(plot)
    late, (late_bank, late_until) = _late_filer(plot)
    careless, sour, thin = _unvalidated_models(plot), _bad_loans(plot), _thin_insurer(plot)
    batch, upload, upload_day = _bad_batch(plot)
    thousands, in_thousands = _thousands(plot)
    cast = Cast(late_bank, plot.quarter, late_until, upload, upload_day, in_thousands)
    return (run, batch, thousands, squeeze, late, careless, sour, thin), cast


def _slow_run(plot: Plot) -> Story:
    who = plot.pick("city_bank", 600e9)
    plot.shocks.deposits[:, who] = decline(plot.elapsed(RUN_FROM), RUN_LOSS, RUN_DAYS)
    return plot.story(
        "slow_run",
        {"en": "A slow run on deposits", "zh": "存款缓慢挤兑"},
        (who,),
        (plot.live_day(RUN_FROM), plot.live_day(RUN_FROM + RUN_DAYS)),
        rules=("bank.liquidity.slow_run", "bank.liquidity.lcr"),
    )


def _squeeze(plot: Plot) -> Story:
    who = plot.pick("joint_stock_bank", 5e12)
    plot.shocks.strain[:, who] = pulse(plot.elapsed(SQUEEZE_FROM), SQUEEZE_RISE, SQUEEZE_HOLD, SQUEEZE_FALL)
    days = SQUEEZE_RISE + SQUEEZE_HOLD + SQUEEZE_FALL
    return plot.story(
        "squeeze",
        {"en": "Interbank lenders hold back", "zh": "同业融资收紧"},
        (who,),
        (plot.live_day(SQUEEZE_FROM), plot.live_day(SQUEEZE_FROM + days)),
        rules=("bank.liquidity.squeeze",),
    )


def _late_filer(plot: Plot) -> tuple[Story, tuple[int, int]]:
    """The story, and who files when at last."""
    who = plot.pick("rural_bank", 60e9)
    deadline = due(plot.catalogue.forms["cn.prudential.q"], to_date(plot.quarter)) // DAY
    until = int(plot.timeline.business_day(deadline, LATE_BY))
    story = plot.story(
        "late_filer",
        {"en": "A quarterly return does not come", "zh": "季报迟报"},
        (who,),
        (plot.quarter, until),
        rules=("reporting.late.prudential",),
    )
    return story, (who, until)


def _unvalidated_models(plot: Plot) -> Story:
    who = plot.pick("digital_bank", 1e12)
    plot.shocks.unvalidated[plot.timeline.grid >= plot.quarter, who] = UNVALIDATED
    return plot.story(
        "unvalidated_models",
        {"en": "AI models used without validation", "zh": "人工智能模型未经验证即投产"},
        (who,),
        (plot.quarter, int(plot.timeline.live[-1])),
        rules=("digital.ai.unvalidated",),
    )


def _bad_loans(plot: Plot) -> Story:
    who = plot.pick("rural_bank", 120e9)
    plot.shocks.bad_loans[:, who] = 1 + (SOUR_FACTOR - 1) * _ramp(plot.timeline, SOUR_QUARTERS)
    return plot.story(
        "bad_loans",
        {"en": "Bad loans climb for years", "zh": "不良贷款逐季上升"},
        (who,),
        (int(plot.timeline.quarters[0]), int(plot.timeline.quarters[-1])),
        rules=("bank.credit.npl", "bank.credit.coverage"),
    )


def _thin_insurer(plot: Plot) -> Story:
    who = plot.pick("life_insurer", 300e9)
    plot.shocks.solvency[:, who] = 1 - (1 - THIN_FACTOR) * _ramp(plot.timeline, THIN_QUARTERS)
    return plot.story(
        "thin_insurer",
        {"en": "Solvency wears away", "zh": "保险公司偿付能力持续下滑"},
        (who,),
        (int(plot.timeline.quarters[0]), int(plot.timeline.quarters[-1])),
        rules=("insurer.solvency.comprehensive",),
    )


def _bad_batch(plot: Plot) -> tuple[Story, tuple[int, ...], int]:
    """The story, the banks whose provider sends it, and the as-of day of what it sends."""
    rural = int((plot.population.types == "rural_bank").sum()) - len(plot.taken)
    who = tuple(plot.pick("rural_bank", 0.0) for _ in range(min(UPLOAD_BANKS, rural - 2)))
    day = plot.live_day(UPLOAD_ON)
    story = plot.story(
        "bad_batch",
        {"en": "A provider's upload goes wrong", "zh": "服务商批量报送出错"},
        who,
        (day, day),
        rejected=dict.fromkeys(KINDS.values(), len(who)),
    )
    return story, who, day


def _thousands(plot: Plot) -> tuple[Story, tuple[str, int, int]]:
    """The story, and form, bank and as-of day of the filing in question."""
    who, day = plot.pick("rural_bank", 300e9), plot.live_day(THOUSANDS_ON)
    story = plot.story(
        "thousands",
        {"en": "Deposits filed in thousands", "zh": "存款误按千元报送"},
        (who,),
        (day, day),
        rules=("reporting.quality.jump",),
    )
    return story, (DAILY, who, day)


def _ramp(timeline: Timeline, quarters: int) -> NDArray[np.float64]:
    """0 until `quarters` quarters before the live days, then even steps up to 1 at their beginning [grid]."""
    now = np.searchsorted(timeline.quarters, timeline.grid, "right")
    steps = now - np.searchsorted(timeline.quarters, timeline.reference)
    return np.clip((steps + quarters) / quarters, 0, 1)
