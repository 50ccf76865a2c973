"""`guanlan systemic contagion`, `clearing` and `reconstruct`: networks in as CSV, results out as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rules.problems import InputError

if TYPE_CHECKING:
    from guanlan.market_tables import Row
    from guanlan.network_tables import Scenario, Sheet
    from systemic.arrays import Matrix

Output = Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="csv or jsonl.")]
Out = Annotated[Path | None, typer.Option(help="Write there instead of to standard output.")]
Exposures = Annotated[
    Path, typer.Option("--exposures", "--network", help="Edge list lender,borrower,amount, or a square matrix.")
]
Sheets = Annotated[
    Path, typer.Option("--balance-sheets", "--balance", help="CSV: institution, and the columns the method needs.")
]
Shocks = Annotated[
    list[str] | None, typer.Option("--shock", help="all, none, uniform=0.05 or CODE=1.0[,CODE=…]; may be repeated.")
]
ShockOn = Annotated[Literal["equity", "external-assets"] | None, typer.Option(help="What the shares are of.")]

BATCH = 256
TOTALS = ("original_stress", "additional_stress", "original_losses", "additional_losses", "additional_defaults")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `guanlan systemic`."""
    app.command("contagion")(contagion)
    app.command("clearing")(clearing)
    app.command("reconstruct")(reconstruct)


def contagion(
    balance_sheets: Sheets,
    exposures: Annotated[
        Path | None,
        typer.Option("--exposures", "--network", help="Edge list lender,borrower,amount, or a square matrix."),
    ] = None,
    margins: Annotated[
        Path | None, typer.Option(help="In place of exposures: institution,assets,liabilities inside the network.")
    ] = None,
    reconstructions: Annotated[int, typer.Option(min=1, help="Min-density networks drawn from the margins.")] = 20,
    method: Annotated[
        Literal["debtrank", "debtrank-2012", "threshold", "furfine"], typer.Option(help="How distress passes on.")
    ] = "debtrank",
    shock: Shocks = None,
    shock_on: ShockOn = None,
    recovery: Annotated[float, typer.Option(min=0, max=1, help="Share of an exposure that default spares.")] = 0.0,
    output: Output = "csv",
    out: Out = None,
) -> None:
    """Contagion of losses in an exposure network, a line for each scenario.

    Balance sheets need `buffer`; `weight` (equal by default) weighs stress. Exposures are divided by the
    lender's buffer. debtrank: the linear form, exact; debtrank-2012: passes on once; threshold and furfine:
    at default only. Losses beyond a buffer count in losses; stress is capped at 1. With margins only, every
    number is the median over reconstructed networks (maximum entropy, and minimum density several times), and
    what contagion adds has its lowest and highest beside it.
    """
    import numpy as np

    from guanlan.market_tables import write_rows
    from guanlan.network_tables import read_network, read_sheet, scenarios

    sheet = read_sheet(balance_sheets)
    buffer, weight = sheet.column("buffer"), sheet.column("weight", 1.0)
    if exposures is not None and margins is None:
        networks = [read_network(exposures, sheet.institutions)[1]]
    elif margins is not None and exposures is None:
        networks = _reconstructed(margins, sheet, reconstructions)
    else:
        raise InputError("give either --exposures (a network) or --margins (each institution's totals)")
    shocks = scenarios(shock or ["all"], sheet.institutions)
    losses = sheet.column("external_assets") if shock_on == "external-assets" else None
    spreads = [_in_words(_method(method), n, buffer, weight, recovery, len(shocks)) for n in networks]

    def rows() -> Iterator[Row]:
        for start in range(0, len(shocks), BATCH):
            part = shocks[start : start + BATCH]
            shares = _stacked(part)
            if losses is not None:
                shares = _relative(shares * losses[:, None], buffer)
            totals = np.array([_totals(_in_words(spread, shares)) for spread in spreads])
            for column, scenario in enumerate(part):
                yield {"scenario": scenario.name, **_cells(totals[:, :, column])}

    write_rows(rows(), output, out)


def _totals(end: Any) -> list[Any]:
    return [getattr(end, name) for name in TOTALS]


def _cells(totals: Matrix) -> Row:
    """One scenario's totals (networks × totals) as cells; with several networks, the range of what is added."""
    import numpy as np

    middle = np.median(totals, axis=0)
    cells: dict[str, str | float | int | None] = dict(zip(TOTALS, middle.tolist(), strict=True))
    if middle[-1].is_integer():
        cells[TOTALS[-1]] = int(middle[-1])
    if len(totals) > 1:
        for column, name in enumerate(TOTALS):
            if name.startswith("additional"):
                cells[f"{name}_low"] = float(totals[:, column].min())
                cells[f"{name}_high"] = float(totals[:, column].max())
    return cells


def _reconstructed(margins: Path, sheet: Sheet, count: int) -> list[Any]:
    """Return networks that have the margins, in the order of the balance sheets."""
    import numpy as np

    from guanlan.network_tables import read_sheet
    from systemic.network.reconstruction import max_entropy, min_density

    given = read_sheet(margins)
    missing = sorted(set(given.institutions) ^ set(sheet.institutions))
    if missing:
        raise InputError(f"{margins} and the balance sheets differ in institutions: {', '.join(missing[:5])}")
    order = np.array([given.institutions.index(code) for code in sheet.institutions], dtype=np.int64)
    lent, owed = given.column("assets")[order], given.column("liabilities")[order]
    drawn = [_in_words(min_density, lent, owed, seed) for seed in range(count)]
    return [_in_words(max_entropy, lent, owed), *drawn]


def _method(name: str) -> Callable[..., Callable[[Matrix], Any]]:
    """Return what prepares a network once and gives a function from shocks (float64[n, m]) to end states."""
    from systemic.network.cascade import debtrank_2012, threshold_cascade
    from systemic.network.contagion import prepare
    from systemic.network.debtrank import LinearDebtRank

    def linear(network: Any, buffer: Any, weight: Any, recovery: float, count: int) -> Callable[[Matrix], Any]:
        return LinearDebtRank(prepare(network, buffer, weight, recovery), count).end

    def stepwise(network: Any, buffer: Any, weight: Any, recovery: float, _: int) -> Callable[[Matrix], Any]:
        method = debtrank_2012 if name == "debtrank-2012" else threshold_cascade
        prepare(network, buffer, weight, recovery)
        return lambda shares: method(network, buffer, shares, weight, recovery)

    return linear if name == "debtrank" else stepwise


def _stacked(part: list[Scenario]) -> Matrix:
    import numpy as np

    return np.column_stack([scenario.shares for scenario in part])


def _relative(losses: Matrix, buffer: Any) -> Matrix:
    """Losses over buffers; a loss without buffer is default, no loss is none."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        found: Matrix = np.where(losses > 0, np.where(buffer[:, None] > 0, losses / buffer[:, None], 1.0), 0.0)
    return found


def _in_words(function: Callable[..., Any], *args: Any) -> Any:
    """Run a measure; what it finds wrong with its inputs is said as one sentence."""
    try:
        return function(*args)
    except ValueError as err:
        raise InputError(str(err)) from None


def clearing(
    exposures: Exposures,
    balance_sheets: Sheets,
    external: Annotated[
        Literal["pari-passu", "senior"], typer.Option(help="How creditors outside the network rank.")
    ] = "pari-passu",
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Share of external assets realised in default.")] = 1.0,
    beta: Annotated[float, typer.Option(min=0, max=1, help="Share of interbank receipts realised in default.")] = 1.0,
    shock: Shocks = None,
    shock_on: ShockOn = None,
    output: Output = "csv",
    out: Out = None,
) -> None:
    """Greatest clearing vector after a shock to external assets, a line for each scenario and institution.

    Balance sheets need `external_assets`; `external_liabilities` are 0 by default. By default there is no
    shock. A shock on equity takes that share of external and interbank assets less all liabilities.
    """
    from guanlan.market_tables import write_rows
    from guanlan.network_tables import read_network, read_sheet, scenarios
    from systemic.network.clearing import clear

    sheet = read_sheet(balance_sheets)
    assets, owed = sheet.column("external_assets"), sheet.column("external_liabilities", 0.0)
    _, network = read_network(exposures, sheet.institutions)
    base = _equity(sheet, network, assets, owed) if shock_on == "equity" else assets

    def rows() -> Iterator[Row]:
        import numpy as np

        for scenario in scenarios(shock or ["none"], sheet.institutions):
            left = np.maximum(assets - scenario.shares * base, 0.0)
            found = _in_words(clear, network, left, owed, external, alpha, beta)
            for i, code in enumerate(sheet.institutions):
                yield {
                    "scenario": scenario.name,
                    "institution": code,
                    "default": int(found.default[i]),
                    "payment": float(found.payment[i]),
                    "total_liabilities": float(found.total_liabilities[i]),
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
    from guanlan.network_tables import read_sheet
    from systemic.network.reconstruction import max_entropy, min_density

    sheet = read_sheet(margins)
    lent, owed = sheet.column("assets"), sheet.column("liabilities")
    if method == "max-entropy":
        network = _in_words(max_entropy, lent, owed)
    else:
        network = _in_words(min_density, lent, owed, seed)
    names = sheet.institutions
    rows: Iterator[Row] = (
        {"lender": names[i], "borrower": names[j], "amount": float(network[i, j])}
        for i, j in zip(*np.nonzero(network), strict=True)
    )
    write_rows(rows, output, out)
