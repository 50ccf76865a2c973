"""`guanlan systemic credit-gap` and `guanlan systemic market`: series in as CSV, measures out as rows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rules.problems import ConfigError, InputError

if TYPE_CHECKING:
    from guanlan.market_tables import Row, Table
    from systemic.arrays import Vector

Format = Literal["csv", "jsonl"]
Measure = Literal[
    "absorption", "covar", "delta-covar", "distance-to-default", "mes", "spillover", "srisk", "turbulence"
]

Output = Annotated[Format, typer.Option("--format", help="csv or jsonl.")]
Out = Annotated[Path | None, typer.Option(help="Write there instead of to standard output.")]

SMALLEST = 1e-30
REPORTING_LAG = 45
"""Days after a quarter's end by which its report is filed in the USA: 40 by large filers, 45 by others (Form 10-Q)."""

TAIL = "Tail risk (mes, covar, delta-covar)"
MOVE = "Co-movement (absorption, turbulence, spillover)"
BALANCE = "Balance sheets (srisk, distance-to-default)"
SURE = "How sure (turbulence: with --window; by states: --last)"


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `guanlan systemic`."""
    app.command("credit-gap")(credit_gap)
    app.command("market")(market)


def credit_gap(
    series: Annotated[Path, typer.Argument(help="CSV: a quarter, then credit to GDP in percent.")],
    column: Annotated[str | None, typer.Option(help="The ratio's column; by default the only one.")] = None,
    gdp: Annotated[
        Literal["annual", "quarterly"] | None,
        typer.Option(help="The file has columns credit and gdp; gdp is of the last four quarters, or of one."),
    ] = None,
    smoothing: Annotated[float, typer.Option(help="λ of the Hodrick–Prescott filter.")] = 400_000.0,
    low: Annotated[float, typer.Option(help="Gap from which the buffer rises, percentage points.")] = 2.0,
    high: Annotated[float, typer.Option(help="Gap at which it is full.")] = 10.0,
    most: Annotated[float, typer.Option(help="Full buffer, percent of risk-weighted assets.")] = 2.5,
    output: Output = "csv",
    out: Out = None,
) -> None:
    """Credit-to-GDP gap and buffer guide: a trend known at the time, and one known with hindsight.

    The one-sided trend of a quarter is the last value of the two-sided filter over the data up to it. Gaps
    are in percentage points of GDP, positive when credit is above its trend; the guide reads the one-sided.
    """
    import numpy as np

    from guanlan.market_tables import read_table, write_rows
    from systemic.stress import creditgap

    table = read_table(series)
    ratio = _ratio(table, column, gdp)
    if not smoothing > 0:
        raise ConfigError(f"--smoothing must be above 0, not {smoothing:g}")
    if not low < high:
        raise ConfigError(f"--low {low:g} must be below --high {high:g}")
    if np.nanmax(np.abs(ratio)) < 5:
        typer.echo("guanlan: all ratios are below 5; they are read as percent, so 150 % is 150", err=True)
    one, two = creditgap.one_sided_trend(ratio, smoothing), creditgap.hp_trend(ratio, smoothing)
    guide = creditgap.buffer_guide(ratio - one, low=low, high=high, most=most)
    rows: list[Row] = [
        {
            "quarter": label,
            "trend_one_sided": one[t],
            "gap_one_sided": ratio[t] - one[t],
            "trend_two_sided": two[t],
            "gap_two_sided": ratio[t] - two[t],
            "buffer_guide": guide[t],
        }
        for t, label in enumerate(table.labels)
    ]
    write_rows(rows, output, out)


def _ratio(table: Table, column: str | None, gdp: str | None) -> Vector:
    import numpy as np

    if table.days is not None:
        quarters = [day.year * 4 + (day.month - 1) // 3 for day in table.days]
        for t in range(1, len(quarters)):
            if quarters[t] != quarters[t - 1] + 1:
                raise InputError(
                    f"{table.file}: {table.labels[t]} does not follow on {table.labels[t - 1]} by one quarter; "
                    "write a quarter without a value as an empty cell"
                )
    if gdp is None:
        if column is None and len(table.columns) > 1:
            raise ConfigError(f"{table.file} has several columns ({', '.join(table.columns)}): name one with --column")
        name = column or table.columns[0]
        table.never_below(0.0, "credit over GDP is never below 0", [name])
        ratio = table.column(name)
    else:
        table.never_below(0.0, "credit is never below 0", ["credit"])
        table.never_below(SMALLEST, "GDP is above 0", ["gdp"])
        product = table.column("gdp")
        if gdp == "quarterly":
            known = np.convolve(product, np.ones(4))[: len(product)]
            product = np.where(np.arange(len(product)) >= 3, known, np.nan)
        ratio = 100 * table.column("credit") / product
    if np.isfinite(ratio).sum() < 2:
        raise InputError(f"{table.file}: fewer than two quarters have a value")
    return ratio


def market(
    measure: Annotated[Measure, typer.Option(help="What to compute.")],
    prices: Annotated[Path | None, typer.Option(help="CSV: a date, then a price for each series.")] = None,
    returns: Annotated[Path | None, typer.Option(help="Instead of prices: returns in fractions.")] = None,
    return_kind: Annotated[Literal["log", "simple"], typer.Option(help="How prices become returns.")] = "log",
    index: Annotated[str | None, typer.Option("--market", help="Column of the market or system.")] = None,
    institutions: Annotated[str, typer.Option(help="Columns to use, A,B,C; by default all but the market.")] = "",
    since: Annotated[datetime | None, typer.Option("--from", help="First day of returns.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Last day of returns.")] = None,
    window: Annotated[int | None, typer.Option(min=3, help="Rolling: rows of returns in a window.")] = None,
    step: Annotated[int, typer.Option(min=1, help="Rolling: rows from one window to the next.")] = 1,
    last: Annotated[bool, typer.Option("--last", help="Of measures with a value a day, only the last.")] = False,
    min_known: Annotated[
        float,
        typer.Option(min=0, max=1, help="Leave out an institution with fewer of its returns.", rich_help_panel=MOVE),
    ] = 0.9,
    level: Annotated[float, typer.Option(help="Tail probability.", rich_help_panel=TAIL)] = 0.05,
    tail: Annotated[
        Literal["strict", "weak"],
        typer.Option(help="Worst days: below the quantile, or at it too.", rich_help_panel=TAIL),
    ] = "strict",
    var: Annotated[
        Literal["empirical", "normal"], typer.Option(help="The institution's value at risk.", rich_help_panel=TAIL)
    ] = "empirical",
    states: Annotated[
        Path | None, typer.Option(help="CSV of state variables, used one row lagged.", rich_help_panel=TAIL)
    ] = None,
    sign: Annotated[
        Literal["loss", "return"],
        typer.Option(help="loss: a loss is positive. return: negative.", rich_help_panel=TAIL),
    ] = "loss",
    share: Annotated[float, typer.Option(help="Eigenvectors as a share of series.", rich_help_panel=MOVE)] = 0.2,
    number: Annotated[int | None, typer.Option(help="Eigenvectors as a number.", rich_help_panel=MOVE)] = None,
    moments: Annotated[
        Literal["covariance", "correlation"], typer.Option(help="Whose eigenvalues.", rich_help_panel=MOVE)
    ] = "covariance",
    half_life: Annotated[
        float | None, typer.Option(help="Weigh rows, half life in rows.", rich_help_panel=MOVE)
    ] = None,
    scaled: Annotated[
        bool, typer.Option("--scaled", help="Turbulence divided by the series.", rich_help_panel=MOVE)
    ] = False,
    lags: Annotated[int, typer.Option(min=1, help="Order of the VAR.", rich_help_panel=MOVE)] = 1,
    decomposition: Annotated[
        Literal["generalised", "cholesky"], typer.Option(help="Of the forecast variance.", rich_help_panel=MOVE)
    ] = "generalised",
    detail: Annotated[
        Literal["pairs", "directional", "total"], typer.Option(help="Rows of spillover.", rich_help_panel=MOVE)
    ] = "directional",
    horizon: Annotated[
        float | None,
        typer.Option(help="Spillover: steps (10). SRISK by simulation: days (126). Distance: years (1)."),
    ] = None,
    market_caps: Annotated[
        Path | None, typer.Option(help="CSV: market value of equity.", rich_help_panel=BALANCE)
    ] = None,
    liabilities: Annotated[
        Path | None, typer.Option(help="CSV: book liabilities, days or quarters.", rich_help_panel=BALANCE)
    ] = None,
    assets: Annotated[Path | None, typer.Option(help="With --equity: book assets.", rich_help_panel=BALANCE)] = None,
    equity: Annotated[Path | None, typer.Option(help="With --assets: book equity.", rich_help_panel=BALANCE)] = None,
    reporting_lag: Annotated[
        int,
        typer.Option(min=0, help="Days until a balance sheet is known; 0 is hindsight.", rich_help_panel=BALANCE),
    ] = REPORTING_LAG,
    rate: Annotated[
        str, typer.Option(help="Annual, continuous: a number, or FILE.csv:COLUMN.", rich_help_panel=BALANCE)
    ] = "0",
    drift: Annotated[
        float | None, typer.Option(help="Annual growth of assets; by default the rate.", rich_help_panel=BALANCE)
    ] = None,
    k: Annotated[float, typer.Option(help="Capital to be held, of assets.", rich_help_panel=BALANCE)] = 0.08,
    lrmes: Annotated[
        Literal["beta", "mes", "simulation", "garch"],
        typer.Option(help="How the loss is found.", rich_help_panel=BALANCE),
    ] = "beta",
    decline: Annotated[float, typer.Option(help="Fall of the market in the crisis.", rich_help_panel=BALANCE)] = 0.4,
    paths: Annotated[int, typer.Option(min=1, help="Simulated paths.", rich_help_panel=BALANCE)] = 20_000,
    seed: Annotated[int, typer.Option(help="Of simulation and bootstrap.")] = 0,
    confidence: Annotated[
        float | None,
        typer.Option("--interval", help="Confidence of an interval, as 0.9; with ranks.", rich_help_panel=SURE),
    ] = None,
    replications: Annotated[int, typer.Option(min=10, help="Bootstrap samples.", rich_help_panel=SURE)] = 500,
    block: Annotated[
        float | None, typer.Option(min=1, help="Mean block in rows; by default from the data.", rich_help_panel=SURE)
    ] = None,
    output: Output = "csv",
    out: Out = None,
) -> None:
    """Market measures of systemic risk from prices, rolling or over the whole sample.

    Signs: MES, VaR, CoVaR and ΔCoVaR are losses, positive (--sign return turns them). LRMES is the fraction
    of equity lost; simulated, it is missing where its standard error is too large, and the reason says so.
    SRISK is positive where capital is missing. A smaller distance to default is riskier.
    Spillovers are in percent of forecast-error variance; everything else in fractions or the input's currency.
    """
    from guanlan.market_rows import rows
    from guanlan.market_sample import Options, build_sample
    from guanlan.market_tables import read_table, write_rows

    for name, value in (("--level", level), ("--decline", decline), ("--interval", confidence)):
        if value is not None and not 0 < value < 1:
            raise ConfigError(f"{name} lies between 0 and 1, not at {value:g}")
    if horizon is not None and not horizon > 0:
        raise ConfigError(f"--horizon must be above 0, not {horizon:g}")
    if horizon is not None and measure != "distance-to-default" and not horizon.is_integer():
        raise ConfigError(f"--horizon counts whole rows for {measure}, not {horizon:g}")
    quoted = _one_of(prices, returns, market_caps if measure == "distance-to-default" else None)
    caps = read_table(market_caps) if market_caps else None
    fixed_rate, rate_table, rate_column = _rate(rate)

    if bool(assets) != bool(equity):
        raise ConfigError("--assets and --equity go together: liabilities are their difference")
    books = [read_table(path) for path in ((liabilities,) if liabilities else (assets, equity)) if path]
    if books and not reporting_lag:
        told = "balance sheets count from their own date, on which nobody knew them yet"
        typer.echo(f"guanlan: --reporting-lag 0: {told}", err=True)

    sample = build_sample(
        read_table(quoted),
        kind=None if returns or measure == "distance-to-default" else return_kind,
        are_returns=returns is not None,
        market=index,
        institutions=[name.strip() for name in institutions.split(",") if name.strip()],
        since=since.date() if since else None,
        until=until.date() if until else None,
        states=read_table(states) if states else None,
        caps=caps,
        books=books,
        reporting_lag=reporting_lag,
        rates=rate_table,
        rate_column=rate_column,
    )
    options = Options(
        level=level,
        tail=tail,
        var=var,
        sign=sign,
        share=share,
        number=number,
        moments=moments,
        half_life=half_life,
        scaled=scaled,
        lags=lags,
        horizon=horizon,
        decomposition=decomposition,
        detail=detail,
        rate=fixed_rate,
        drift=drift,
        k=k,
        lrmes=lrmes,
        decline=decline,
        paths=paths,
        seed=seed,
        window=window,
        step=step,
        last=last,
        min_known=min_known,
        confidence=confidence,
        replications=replications,
        block=block,
    )
    write_rows(rows(measure, sample, options), output, out)


def _one_of(prices: Path | None, returns: Path | None, fallback: Path | None) -> Path:
    if prices and returns:
        raise ConfigError("give --prices or --returns, not both")
    found = prices or returns or fallback
    if found is None:
        raise ConfigError("give --prices P.csv (or --returns R.csv)")
    return found


def _rate(text: str) -> tuple[float, Table | None, str]:
    from guanlan.decimals import plain_number
    from guanlan.market_tables import read_table

    try:
        return plain_number(text), None, ""
    except ValueError:
        path, colon, column = text.rpartition(":")
    if not colon:
        raise ConfigError(f"--rate is a number or FILE.csv:COLUMN, not {text!r}")
    table = read_table(Path(path))
    table.position(column)
    return 0.0, table, column
