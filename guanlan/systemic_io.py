"""`guanlan systemic contagion`, `clearing` and `reconstruct`: networks in as CSV, results out as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from guanlan.market_tables import Row
    from guanlan.network_tables import Scenario, Sheet
    from systemic.arrays import Matrix

Output = Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="csv or jsonl.")]
Out = Annotated[Path | None, typer.Option(help="Write there instead of to standard output.")]
Exposures = Annotated[
    Path | None,
    typer.Option("--exposures", "--network", help="Edge list lender,borrower,amount, or a square matrix."),
]
Margins = Annotated[
    Path | None, typer.Option(help="In place of exposures: institution,assets,liabilities inside the network.")
]
Reconstructions = Annotated[int, typer.Option(min=1, help="Min-density networks drawn from the margins.")]
Sheets = Annotated[
    Path, typer.Option("--balance-sheets", "--balance", help="CSV: institution, and the columns the method needs.")
]
Shocks = Annotated[
    list[str] | None,
    typer.Option(
        "--shock", help="all, none, uniform=0.05, CODE=1.0, COLUMN:TEXT=0.5, asset:CLASS=0.1, or some with commas."
    ),
]
ShockOn = Annotated[Literal["equity", "external-assets"] | None, typer.Option(help="What the shares are of.")]
Holdings = Annotated[
    Path | None, typer.Option(help="For asset:CLASS shocks: institution, then a column for each asset class.")
]

BATCH = 256
TOTALS = ("original_stress", "additional_stress", "original_losses", "additional_losses", "additional_defaults")
ADDED = tuple(name for name in TOTALS if name.startswith("additional"))


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `guanlan systemic`."""
    app.command("contagion")(contagion)
    app.command("clearing")(clearing)
    app.command("reconstruct")(reconstruct)


def contagion(
    balance_sheets: Sheets,
    exposures: Exposures = None,
    margins: Margins = None,
    reconstructions: Reconstructions = 20,
    method: Annotated[
        Literal["debtrank", "debtrank-2012", "threshold", "furfine"], typer.Option(help="How distress passes on.")
    ] = "debtrank",
    shock: Shocks = None,
    shock_on: ShockOn = None,
    holdings: Holdings = None,
    recovery: Annotated[float, typer.Option(min=0, max=1, help="Share of an exposure that default spares.")] = 0.0,
    output: Output = "csv",
    out: Out = None,
) -> None:
    """Contagion of losses in an exposure network, a line for each scenario.

    Balance sheets need `buffer`; `weight` (equal by default) weighs stress. Exposures are divided by the
    lender's buffer. debtrank: the linear form, exact; debtrank-2012: passes on once; threshold and furfine:
    at default only. Losses beyond a buffer count in losses; stress is capped at 1. With margins only, every
    number is the median over reconstructed networks (maximum entropy, and minimum density several times), what
    contagion adds has its lowest and highest beside it, and so has the scenario's rank by added stress.
    """
    import numpy as np

    from guanlan.market_tables import write_rows
    from guanlan.network_spread import in_words, networks, ranks, spread
    from guanlan.network_tables import read_sheet, scenarios

    sheet = read_sheet(balance_sheets)
    buffer, weight = sheet.column("buffer"), sheet.column("weight", 1.0)
    several = networks(exposures, margins, sheet, reconstructions)
    shocks = scenarios(shock or ["all"], sheet, read_sheet(holdings) if holdings else None)
    base = sheet.column("external_assets") if shock_on == "external-assets" else None
    if method == "debtrank" and base is None and all(s.alone is not None for s in shocks):
        totals = _of_failures(sheet, several, buffer, weight, recovery)
    else:
        start = partial(_start, buffer=buffer, base=base)
        prepared = _method(method, len(shocks))
        passing = [in_words(sheet.institutions, prepared, n, buffer, weight, recovery) for n in several]

        def totals(part: list[Scenario]) -> Matrix:
            return np.array([_totals(in_words(sheet.institutions, each, start(part))) for each in passing])

    def rows() -> Iterator[Row]:
        parts = (shocks[start : start + BATCH] for start in range(0, len(shocks), BATCH))
        if len(several) == 1:
            for part in parts:
                found = totals(part)
                for column, scenario in enumerate(part):
                    yield {"scenario": scenario.name, **spread(TOTALS, found[:, :, column], (TOTALS[-1],))}
            return
        found = np.concatenate([totals(part) for part in parts], axis=2)
        places = ranks(found[:, TOTALS.index("additional_stress")])
        for column, scenario in enumerate(shocks):
            place = dict(zip(("rank", "rank_low", "rank_high"), places[:, column].tolist(), strict=True))
            yield {"scenario": scenario.name, **spread(TOTALS, found[:, :, column], (TOTALS[-1],), ADDED), **place}

    write_rows(rows(), output, out)


def _of_failures(
    sheet: Sheet, several: list[Any], buffer: Any, weight: Any, recovery: float
) -> Callable[[list[Scenario]], Matrix]:
    """Return what gives TOTALS of failures of one institution each, from one factorisation of each network."""
    import numpy as np

    from guanlan.network_spread import in_words
    from systemic.network.debtrank import impact_vulnerability

    tables = []
    for network in several:
        found = in_words(sheet.institutions, impact_vulnerability, network, buffer, weight, recovery)
        tables.append([weight / weight.sum(), found.impact, buffer, found.losses, found.defaults])
    table = np.array(tables)
    return lambda part: table[:, :, [scenario.alone for scenario in part]]


def _start(part: list[Scenario], buffer: Any, base: Any) -> Matrix:
    """Return the shares of buffers that scenarios take at first (float64[n, m]); `base` is what shares are of."""
    import numpy as np

    from systemic.network.shocks import over_buffer

    lost = np.column_stack([s.losses if base is None else s.losses + s.shares * base for s in part])
    found = over_buffer(lost, buffer)
    return found if base is not None else found + np.column_stack([s.shares for s in part])


def _totals(end: Any) -> list[Any]:
    return [getattr(end, name) for name in TOTALS]


def _method(name: str, count: int) -> Callable[..., Callable[[Matrix], Any]]:
    """Return what prepares a network once for `count` scenarios: shocks (float64[n, m]) to end states."""
    from systemic.network.cascade import debtrank_2012, threshold_cascade
    from systemic.network.contagion import prepare
    from systemic.network.debtrank import LinearDebtRank

    def linear(network: Any, buffer: Any, weight: Any, recovery: float) -> Callable[[Matrix], Any]:
        return LinearDebtRank(prepare(network, buffer, weight, recovery), count).end

    def stepwise(network: Any, buffer: Any, weight: Any, recovery: float) -> Callable[[Matrix], Any]:
        method = debtrank_2012 if name == "debtrank-2012" else threshold_cascade
        prepare(network, buffer, weight, recovery)
        return lambda shares: method(network, buffer, shares, weight, recovery)

    return linear if name == "debtrank" else stepwise


def clearing(
    balance_sheets: Sheets,
    exposures: Exposures = None,
    margins: Margins = None,
    reconstructions: Reconstructions = 20,
    external: Annotated[
        Literal["pari-passu", "senior"], typer.Option(help="How creditors outside the network rank.")
    ] = "pari-passu",
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Share of external assets realised in default.")] = 1.0,
    beta: Annotated[float, typer.Option(min=0, max=1, help="Share of interbank receipts realised in default.")] = 1.0,
    shock: Shocks = None,
    shock_on: ShockOn = None,
    holdings: Holdings = None,
    output: Output = "csv",
    out: Out = None,
) -> None:
    """Greatest clearing vector after a shock to external assets, a line for each scenario and institution.

    Balance sheets need `external_assets`; `external_liabilities` are 0 by default. By default there is no
    shock. A shock on equity takes that share of external and interbank assets less all liabilities. With margins
    only, payments are medians over reconstructed networks with their lowest and highest beside them, and
    `default` is the share of the networks in which the institution defaults.
    """
    import numpy as np

    from guanlan.market_tables import write_rows
    from guanlan.network_spread import in_words, networks, spread
    from guanlan.network_tables import read_sheet, scenarios
    from systemic.network.clearing import clear

    sheet = read_sheet(balance_sheets)
    assets, owed = sheet.column("external_assets"), sheet.column("external_liabilities", 0.0)
    several = networks(exposures, margins, sheet, reconstructions)
    base = _equity(sheet, several[0], assets, owed) if shock_on == "equity" else assets

    def rows() -> Iterator[Row]:
        for scenario in scenarios(shock or ["none"], sheet, read_sheet(holdings) if holdings else None):
            left = np.maximum(assets - scenario.shares * base - scenario.losses, 0.0)
            cleared = [
                in_words(sheet.institutions, clear, network, left, owed, external, alpha, beta) for network in several
            ]
            paid = np.array([found.payment for found in cleared])
            for i, code in enumerate(sheet.institutions):
                fallen = float(np.mean([found.default[i] for found in cleared]))
                yield {
                    "scenario": scenario.name,
                    "institution": code,
                    "default": int(fallen) if fallen.is_integer() else fallen,
                    **spread(("payment",), paid[:, [i]], ranged=("payment",)),
                    "total_liabilities": float(cleared[0].total_liabilities[i]),
                }

    write_rows(rows(), output, out)


def _equity(sheet: Sheet, network: Any, assets: Any, owed: Any) -> Any:
    import numpy as np

    if "equity" in sheet.columns:
        return sheet.column("equity")
    lent = np.asarray(network.sum(axis=1)).reshape(-1)
    borrowed = np.asarray(network.sum(axis=0)).reshape(-1)
    return np.maximum(assets + lent - borrowed - owed, 0.0)


def reconstruct(
    margins: Annotated[Path, typer.Option(help="CSV: institution,assets,liabilities inside the network.")],
    method: Annotated[
        Literal["max-entropy", "min-density"], typer.Option(help="Spread as evenly, or over as few links, as can be.")
    ] = "max-entropy",
    seed: Annotated[int, typer.Option(help="Which of the min-density networks.")] = 0,
    output: Output = "csv",
    out: Out = None,
) -> None:
    """An exposure network with given margins: an edge list with a zero diagonal.

    max-entropy meets both margins to 1e-8 of the total, min-density to 1e-6 and better.
    """
    import numpy as np

    from guanlan.market_tables import write_rows
    from guanlan.network_spread import in_words
    from guanlan.network_tables import read_sheet
    from systemic.network.reconstruction import max_entropy, min_density

    sheet = read_sheet(margins)
    lent, owed = sheet.column("assets"), sheet.column("liabilities")
    network = (
        in_words(sheet.institutions, max_entropy, lent, owed)
        if method == "max-entropy"
        else in_words(sheet.institutions, min_density, lent, owed, seed)
    )
    names = sheet.institutions
    rows: Iterator[Row] = (
        {"lender": names[i], "borrower": names[j], "amount": float(network[i, j])}
        for i, j in zip(*np.nonzero(network), strict=True)
    )
    write_rows(rows, output, out)
