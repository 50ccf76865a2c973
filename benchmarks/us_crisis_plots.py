"""Draw the plots of docs/systemic-market.md: `python -m benchmarks.us_crisis_plots DATA_FOLDER [OUT_FOLDER]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from benchmarks.us_crisis import INDICATORS, SUBINDICES, Crisis, load
from systemic.arrays import Vector
from systemic.bootstrap import interval, rank_range
from systemic.market.mes import marginal_expected_shortfall
from systemic.stress.waterfall import CORRELATION, Step, composite_parts, waterfall

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY = "#22313f", "#9aa5ae"
COLOURS = ("#1b6ca8", "#d1495b", "#edae49", "#66a182", "#8d6a9f", "#30638e")
EVENTS = (
    (date(2007, 8, 9), "BNP"),
    (date(2008, 3, 16), "Bear Stearns"),
    (date(2008, 9, 15), "Lehman"),
    (date(2009, 5, 7), "US stress test"),
    (date(2010, 5, 2), "Greece"),
)
FELL = {"LEH": COLOURS[1], "AIG": COLOURS[2], "FNMA": COLOURS[0], "FMCC": COLOURS[3]}
SUMMER = "2008-08-29"


def main(arguments: Sequence[str]) -> None:
    """Draw every plot of the page from the data folder named first, into the folder named second."""
    mpl.use("Agg")
    mpl.rcParams.update(
        {
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": GREY,
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "figure.constrained_layout.use": True,
        }
    )
    crisis = load(Path(arguments[0]))
    out = Path(arguments[1]) if len(arguments) > 1 else Path(__file__).parents[1] / "docs" / "img"
    out.mkdir(parents=True, exist_ok=True)
    for name, figure in {
        "market-stress": stress(crisis),
        "market-waterfall": bars(crisis),
        "market-series": series(crisis),
        "market-distance": distances(crisis),
        "market-mes": losses(crisis),
        "market-srisk": shortfalls(crisis),
    }.items():
        figure.savefig(out / f"{name}.png", dpi=110)


def _figure(height: float, rows: int = 1, **options: object) -> tuple[Figure, list[Axes]]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, figsize=(9, height), squeeze=False, **options)  # type: ignore[arg-type]
    return figure, list(axes[:, 0])


def _mark(axes: Axes, *, names: bool = True) -> None:
    top = axes.get_ylim()[1]
    for day, name in EVENTS:
        axes.axvline(day, color=GREY, lw=0.8, ls=":")  # type: ignore[arg-type]
        if names:
            axes.text(day, top, f" {name}", fontsize=8, va="top", color=INK)  # type: ignore[arg-type]


def stress(crisis: Crisis) -> Figure:
    """The composite as a stack of its sub-indices, and what imperfect correlation takes away."""
    found = crisis.stress()
    figure, (axes,) = _figure(4.2)
    parts = np.nan_to_num(found.subindex_contributions()).T
    axes.stackplot(crisis.days, parts, labels=SUBINDICES, colors=COLOURS, alpha=0.85, lw=0)  # type: ignore[arg-type]
    axes.fill_between(
        crisis.days,
        np.nan_to_num(found.correlation),
        color=GREY,
        alpha=0.6,
        lw=0,
        label="imperfect correlation",  # type: ignore[arg-type]
    )
    axes.plot(crisis.days, found.index, color=INK, lw=1.4, label="composite")  # type: ignore[arg-type]
    axes.set_ylim(-0.4, 1.05)
    axes.set_ylabel("stress, 0 to 1")
    axes.set_title("Composite stress and its parts: the coloured areas plus the grey one are the line")
    axes.legend(loc="lower right", ncols=3, frameon=False, fontsize=8)
    _mark(axes)
    return figure


def bars(crisis: Crisis) -> Figure:
    """The waterfall from the Friday before Lehman to the peak."""
    found = crisis.stress()
    before, after = crisis.row("2008-09-12"), int(np.nanargmax(found.index))
    names = [name for name, _ in INDICATORS]
    steps = waterfall(composite_parts(found, before, names), composite_parts(found, after, names))
    whole = [(str(crisis.days[t]), float(found.index[t])) for t in (before, after)]
    figure, (axes,) = _figure(4.2)
    labels = [whole[0][0], *(step.part for step in steps), whole[1][0]]
    heights = [whole[0][1], *(step.change for step in steps), whole[1][1]]
    bottoms = [0.0, *(step.start for step in steps), 0.0]
    colours = [INK, *(_bar_colour(step) for step in steps), INK]
    axes.barh(labels, heights, left=bottoms, color=colours)
    for i, (height, bottom) in enumerate(zip(heights, bottoms, strict=True)):
        text = f"{height:.2f}" if i in (0, len(heights) - 1) else f"{height:+.3f}"
        axes.text(max(bottom, bottom + height) + 0.006, i, text, va="center", fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("composite stress")
    axes.set_title("What moved the composite from the Friday before Lehman to its peak")
    return figure


def _bar_colour(step: Step) -> str:
    if step.part == CORRELATION:
        return GREY
    return COLOURS[1] if step.change > 0 else COLOURS[3]


def series(crisis: Crisis) -> Figure:
    """Four system series over a trailing year."""
    shown = (
        ("absorption", 1, "absorption ratio"),
        ("turbulence", 1, "turbulence (log scale)"),
        ("mes", 1, "mean MES, %"),
        ("spillover", 5, "total spillover, %"),
    )
    figure, panels = _figure(8.5, len(shown), sharex=True)
    for axes, (what, step, label), colour in zip(panels, shown, COLOURS, strict=False):
        rows, values = crisis.rolling(what, step)
        scaled = values * 100 if label.endswith("%") else values
        axes.plot([crisis.days[t] for t in rows], scaled, color=colour, lw=1.1)  # type: ignore[arg-type]
        axes.set_ylabel(label)
        if what == "turbulence":
            axes.set_yscale("log")
        _mark(axes, names=axes is panels[0])
    panels[0].set_title(
        "Co-movement and tail losses, each over the trailing year of the institutions that lived through it"
    )
    return figure


def distances(crisis: Crisis) -> Figure:
    """Distance to default of the four that fell against all others, month by month."""
    rows = list(range(252, len(crisis.days), 10))
    table = np.array([crisis.distances(t) for t in rows])
    days = [crisis.days[t] for t in rows]
    figure, (axes,) = _figure(4.2)
    others = [i for i, name in enumerate(crisis.names) if name not in FELL]
    low, middle, high = np.nanquantile(table[:, others], [0.1, 0.5, 0.9], axis=1)
    axes.fill_between(days, low, high, color=GREY, alpha=0.3, lw=0, label="the other 16: 10 % to 90 %")  # type: ignore[arg-type]
    axes.plot(days, middle, color=GREY, lw=1, label="their median")  # type: ignore[arg-type]
    for name, colour in FELL.items():
        axes.plot(days, table[:, crisis.names.index(name)], color=colour, lw=1.5, label=name)  # type: ignore[arg-type]
    axes.axhline(0, color=INK, lw=0.6)
    axes.set_ylim(-3, 14)
    axes.set_ylabel("standard deviations")
    axes.set_title("Distance to default (KMV, trailing year, balance sheets as filed): smaller is riskier")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.93), ncols=2, frameon=False, fontsize=8)
    _mark(axes)
    return figure


def losses(crisis: Crisis) -> Figure:
    """MES before Lehman, with its interval and the range of ranks it leaves."""
    rows = crisis.year_to(crisis.row(SUMMER))
    table = np.column_stack([crisis.market[rows], crisis.returns[rows]])
    bounds = interval(lambda t: marginal_expected_shortfall(t[:, 1:], t[:, 0]), table, replications=1_000)
    best, worst = rank_range(bounds.replicates)
    order = np.argsort(bounds.estimate)
    figure, (axes,) = _figure(5.2)
    for place, i in enumerate(order):
        colour = FELL.get(crisis.names[i], GREY)
        axes.plot([100 * bounds.low[i], 100 * bounds.high[i]], [place, place], color=colour, lw=2)
        axes.plot(100 * bounds.estimate[i], place, "o", color=colour)
        axes.text(13.2, place, f"rank {best[i]:.0f} to {worst[i]:.0f}", fontsize=8, va="center")
    axes.set_yticks(range(len(order)), [crisis.names[i] for i in order])
    axes.set_xlim(-0.5, 15)
    axes.set_xlabel("loss on the market's worst 5 % of days, % (90 % interval, stationary bootstrap)")
    axes.set_title(f"MES on {SUMMER}: a year has 13 such days, and the ranks are that uncertain")
    return figure


def shortfalls(crisis: Crisis) -> Figure:
    """Aggregate SRISK, and who made it."""
    rows = list(range(252, len(crisis.days), 5))
    table: Vector = np.array([np.maximum(crisis.shortfalls(t), 0) for t in rows]) / 1e6
    days = [crisis.days[t] for t in rows]
    largest = list(np.argsort(-np.nansum(table, axis=0))[:5])
    rest = np.nansum(np.delete(table, largest, axis=1), axis=1)
    figure, (axes,) = _figure(4.2)
    axes.stackplot(
        days,  # type: ignore[arg-type]
        [*np.nan_to_num(table[:, largest].T), rest],
        labels=[*(crisis.names[i] for i in largest), "others"],
        colors=[*COLOURS[:5], GREY],
        alpha=0.85,
        lw=0,
    )
    axes.set_ylabel("trillions of dollars")
    axes.set_title("SRISK at k = 8 % after a fall of 40 %: the capital that would be missing")
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0.93), ncols=3, frameon=False, fontsize=8)
    axes.set_ylim(0, 1.3)
    _mark(axes)
    return figure


if __name__ == "__main__":
    main(sys.argv[1:])
