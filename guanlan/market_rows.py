"""Rows of each market measure: from tables to what `guanlan systemic market` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from guanlan.market_sample import Books, Options, Sample
from guanlan.market_sure import Sure, about_the_estimate, by_error, by_replicates, cells, draws_of, resampled
from guanlan.market_tables import Row
from rules.problems import ConfigError, InputError
from systemic.market import absorption, covar, distance, garch, lrmes, mes, spillover, srisk
from systemic.market.lookback import spillover_replicates, turbulence_interval
from systemic.market.resampled import covar_replicates, covar_states_replicates
from systemic.market.returns import complete_rows, windows

if TYPE_CHECKING:
    from systemic.arrays import Matrix, Vector

Fit = TypeVar("Fit")


def rows(measure: str, sample: Sample, options: Options) -> Iterator[Row]:
    """Yield the rows of `measure`; InputError where the data can't carry it."""
    try:
        yield from MEASURES[measure](sample, options)
    except ValueError as err:
        raise InputError(f"{measure}: {err}") from err
    except ModuleNotFoundError as err:
        raise ConfigError(str(err)) from err


def _mes(sample: Sample, options: Options) -> Iterator[Row]:
    market = sample.index()
    sign = _sign(options)

    def statistic(table: Matrix) -> Vector:
        return sign * mes.marginal_expected_shortfall(table[:, 1:], table[:, 0], level=options.level, tail=options.tail)

    for span in sample.spans(options):
        table = np.column_stack([market[span], sample.returns[span]])
        threshold = mes.tail_threshold(market[span], options.level)
        worst = market[span] < threshold if options.tail == "strict" else market[span] <= threshold
        values = statistic(table)
        sure = by_replicates(values, resampled(statistic, table, options), options, riskier=sign)
        for i, (name, value) in enumerate(zip(sample.institutions, values, strict=True)):
            days = int(np.isfinite(sample.returns[span][worst, i]).sum())
            yield {
                "date": sample.labels[span.stop - 1],
                "institution": name,
                "mes": value,
                "threshold": threshold,
                "days": days,
            } | cells(sure, i)


def _sign(options: Options) -> float:
    return 1.0 if options.sign == "loss" else -1.0


def _covar(sample: Sample, options: Options, *, delta: bool) -> Iterator[Row]:
    market = sample.index()
    sign = _sign(options)
    if sample.before is not None and options.confidence is not None and not (options.last or options.window):
        raise ConfigError("an interval of CoVaR given states is computed for the last day: add --last or --window")
    for span in sample.spans(options):
        if sample.before is None:
            found = covar.covar(sample.returns[span], market[span], level=options.level, var=options.var)
            dates = [(sample.labels[span.stop - 1], 0)]
        else:
            before = sample.before[span]
            found = covar.covar_given(sample.returns[span], market[span], before, before, options.level)
            first = int(complete_rows(before).argmax())
            later = range(len(found.var) - 1 if options.last or options.window else first, len(found.var))
            dates = [(sample.labels[span.start + t], t) for t in later]
        values = sign * np.atleast_2d(found.delta if delta else found.covar)
        sure = by_replicates(values[-1], _covar_replicates(sample, span, options, delta=delta), options, riskier=sign)
        for label, t in dates:
            for i, name in enumerate(sample.institutions):
                row: Row = {"date": label, "institution": name}
                if delta:
                    yield {**row, "delta_covar": values[t, i], "slope": found.slope[i]} | cells(sure, i)
                else:
                    parts = ("var", "median_loss", "covar", "covar_median")
                    shown = {part: sign * np.atleast_2d(getattr(found, part))[t, i] for part in parts}
                    yield {**row, **shown} | cells(sure, i)


def _covar_replicates(sample: Sample, span: slice, options: Options, *, delta: bool) -> Matrix | None:
    """CoVaR or ΔCoVaR of each resample of the days, with the sign of the options."""
    if options.confidence is None:
        return None
    returns, market = sample.returns[span], sample.index()[span]
    draws = draws_of(np.column_stack([market, returns]), options)
    if sample.before is None:
        drawn = covar_replicates(returns, market, draws, options.level, options.var, options.seed)
    else:
        drawn = covar_states_replicates(returns, market, sample.before[span], draws, options.level)
    return _sign(options) * (drawn.delta if delta else drawn.covar)


def _alive(sample: Sample, span: slice, options: Options) -> list[int]:
    """Institutions with a return on the last row of the span and on enough of its rows."""
    known = np.isfinite(sample.returns[span])
    return [int(i) for i in np.flatnonzero(known[-1] & (known.mean(axis=0) >= options.min_known))]


def _absorption(sample: Sample, options: Options) -> Iterator[Row]:
    def statistic(table: Matrix) -> float:
        return absorption.absorption_ratio(
            table, share=options.share, number=options.number, moments=options.moments, half_life=options.half_life
        )

    for span in sample.spans(options):
        chosen = _alive(sample, span, options)
        table = sample.returns[span][:, chosen]
        value = statistic(table)
        drawn = resampled(statistic, table, options)
        sure = by_replicates(np.array([value]), drawn, options, ranked=False)
        yield {
            "date": sample.labels[span.stop - 1],
            "absorption_ratio": value,
            "eigenvectors": options.number or absorption.eigenvector_number(max(len(chosen), 1), options.share),
            "institutions": len(chosen),
        } | cells(sure, 0)


def _turbulence(sample: Sample, options: Options) -> Iterator[Row]:
    length = len(sample.labels)
    if options.window is None:
        if options.confidence is not None:
            raise ConfigError("an interval of turbulence needs days that the day itself is not among: add --window")
        chosen = _alive(sample, slice(0, length), options)
        scores = absorption.turbulence(sample.returns[:, chosen], scaled=options.scaled)
        for t in range(length - 1 if options.last else 0, length):
            yield {"date": sample.labels[t], "turbulence": scores[t], "institutions": len(chosen)}
        return
    for span in windows(length, options.window + 1, options.step):
        chosen = _alive(sample, span, options)
        table = sample.returns[span][:, chosen]
        score = absorption.last_turbulence(table)
        divisor = max(len(chosen), 1) if options.scaled else 1
        row: Row = {"date": sample.labels[span.stop - 1], "turbulence": score / divisor, "institutions": len(chosen)}
        if options.confidence is not None:
            known = int(complete_rows(table[:-1]).sum())
            low, high = turbulence_interval(score, known, len(chosen), options.confidence)
            row = {**row, "low": low / divisor, "high": high / divisor}
        yield row


def _spillover(sample: Sample, options: Options) -> Iterator[Row]:
    horizon = int(options.horizon or 10)
    for span in sample.spans(options):
        chosen = _alive(sample, span, options)
        names = [sample.institutions[i] for i in chosen]
        if not names:
            raise InputError(
                f"no institution has enough returns in the window that ends on {sample.labels[span.stop - 1]}"
            )
        table = sample.returns[span][:, chosen]
        found = spillover.spillover(table, order=options.lags, horizon=horizon, kind=options.decomposition)
        drawn = _tables(table, horizon, options)
        total = np.array([100 * found.total])
        totals = None if drawn is None else 100 * np.array([[each.total] for each in drawn])
        whole = about_the_estimate(total, totals, options, low=0.0, high=100.0, ranked=False)
        label = sample.labels[span.stop - 1]
        if options.detail == "total":
            yield {"date": label, "total": total[0], "institutions": len(names)} | cells(whole, 0)
        elif options.detail == "pairs":
            shares = None if drawn is None else 100 * np.array([each.table.ravel() for each in drawn])
            flat = 100 * found.table.ravel()
            sure = about_the_estimate(flat, shares, options, low=0.0, high=100.0, ranked=False)
            for at, (receiver, giver) in enumerate(product(names, names)):
                row: Row = {"date": label, "receiver": receiver, "transmitter": giver, "share": flat[at]}
                yield {**row, **cells(sure, at)}
        else:
            own = np.diag(found.table)
            nets = None if drawn is None else 100 * np.array([each.net for each in drawn])
            sure = about_the_estimate(100 * found.net, nets, options)
            for i, name in enumerate(names):
                parts = (own[i], found.from_others[i], found.to_others[i], found.net[i])
                yield {**_directional(label, name, *parts), **cells(sure, i)}
            blank: Row = {} if sure is None else {"rank": None, "rank_low": None, "rank_high": None}
            last = _directional(label, "TOTAL", float(own.mean()), found.total, found.total, 0.0)
            yield {**last, **cells(whole, 0), **blank}


def _tables(returns: Matrix, horizon: int, options: Options) -> list[spillover.Spillover] | None:
    """Spillover tables of the resamples that can carry one."""
    if options.confidence is None:
        return None
    tables = spillover_replicates(
        returns, draws_of(returns, options), order=options.lags, horizon=horizon, kind=options.decomposition
    )
    return [spillover.Spillover(table) for table in tables]


def _directional(label: str, name: str, own: float, received: float, given: float, net: float) -> Row:
    return {
        "date": label,
        "institution": name,
        "own": 100 * own,
        "from_others": 100 * received,
        "to_others": 100 * given,
        "net": 100 * net,
    }


def _distance(sample: Sample, options: Options) -> Iterator[Row]:
    caps, debts = _balance(sample, "distance-to-default")
    rate = np.full(len(sample.labels), options.rate) if sample.rate is None else sample.rate
    fit = partial(distance.kmv, horizon=options.horizon or 1.0, drift=options.drift)
    for span in sample.spans(options):
        debt = debts.path(sample.days[span])

        def one(i: int, span: slice = span, debt: Matrix = debt) -> distance.Merton:
            return fit(caps[span, i], debt[:, i], rate[span])

        fits = _each(sample, one)
        length = span.stop - span.start
        sure = _distance_error(fits, options)
        for t in range(length - 1 if options.last or options.window else 0, length):
            for i, (name, found) in enumerate(zip(sample.institutions, fits, strict=True)):
                yield {
                    "date": sample.labels[span.start + t],
                    "institution": name,
                    "distance_to_default": found.distance[t] if found else None,
                    "default_probability": found.probability[t] if found else None,
                    "asset_value": found.assets[t] if found else None,
                    "asset_volatility": found.volatility if found else None,
                    "reporting_lag_days": debts.lag,
                } | cells(sure(t), i)


def _distance_error(fits: Sequence[distance.Merton | None], options: Options) -> Callable[[int], Sure | None]:
    """Return what bounds the distances of row t, by the sampling error of each volatility."""
    swings = np.array([found.volatility if found else np.nan for found in fits])
    steps = [int(np.isfinite(found.assets[1:] + found.assets[:-1]).sum()) if found else 2 for found in fits]
    horizon = options.horizon or 1.0

    def of(t: int) -> Sure | None:
        away = np.array([found.distance[t] if found else np.nan for found in fits])
        errors = [distance.distance_error(*each, horizon) for each in zip(away, swings, steps, strict=True)]
        return by_error(away, np.array(errors, dtype=np.float64), options)

    return of


def _balance(sample: Sample, measure: str) -> tuple[Matrix, Books]:
    if sample.equity is None or sample.debts is None:
        raise ConfigError(f"{measure} needs --market-caps and --liabilities (or --assets and --equity)")
    return sample.equity, sample.debts


def _each(sample: Sample, fit: Callable[[int], Fit], reasons: list[str] | None = None) -> list[Fit | None]:
    """Fit each institution alone; None where its series can't carry it, an error when that is so for all.

    `reasons` is filled with the reason of each, empty where it could be fitted.
    """
    fits: list[Fit | None] = []
    why: list[str] = [] if reasons is None else reasons
    for i in range(len(sample.institutions)):
        try:
            fits.append(fit(i))
            why.append("")
        except ValueError as err:
            fits.append(None)
            why.append(str(err))
    if not any(found is not None for found in fits):
        raise InputError(f"no institution can be fitted; for the last one: {why[-1]}")
    return fits


def _srisk(sample: Sample, options: Options) -> Iterator[Row]:
    caps, debts = _balance(sample, "srisk")
    market = sample.index()
    for span in sample.spans(options):
        equity, debt = caps[span.stop - 1], debts.step(sample.days[span.stop - 1])
        returns = sample.returns[span]
        if options.lrmes in ("beta", "mes"):
            lost, error = _formula_lrmes(returns, market[span], options), np.full(len(equity), np.nan)
            why = None

            def statistic(table: Matrix, equity: Vector = equity, debt: Vector = debt) -> Vector:
                return srisk.capital_shortfall(
                    equity, debt, _formula_lrmes(table[:, 1:], table[:, 0], options), options.k
                )

            drawn = resampled(statistic, np.column_stack([market[span], returns]), options)
        elif options.confidence is not None:
            raise ConfigError("--interval bounds SRISK by --lrmes beta or mes; simulated, see lrmes_standard_error")
        else:
            lost, error, why = _simulated_lrmes(sample, returns, market[span], options)
            drawn = None
        short = srisk.capital_shortfall(equity, debt, lost, options.k)
        sure = by_replicates(short, drawn, options)
        shares = srisk.shortfall_shares(short)
        if why is not None and any(why):  # of a whole that is not known nobody has a share
            shares = np.full(len(shares), np.nan)
        for i, name in enumerate(sample.institutions):
            yield (
                {
                    "date": sample.labels[span.stop - 1],
                    "institution": name,
                    "lrmes": lost[i],
                    "lrmes_standard_error": error[i],
                    "equity": equity[i],
                    "debt": debt[i],
                    "srisk": short[i],
                    "share": shares[i],
                    "reporting_lag_days": debts.lag,
                }
                | cells(sure, i)
                | ({} if why is None else {"reason": why[i]})
            )


def _formula_lrmes(returns: Matrix, market: Vector, options: Options) -> Vector:
    if options.lrmes == "beta":
        return lrmes.lrmes_from_beta(lrmes.market_beta(returns, market), options.decline)
    shortfall = mes.marginal_expected_shortfall(returns, market, level=options.level, tail=options.tail)
    return lrmes.lrmes_from_mes(shortfall)


def _simulated_lrmes(
    sample: Sample, returns: Matrix, market: Vector, options: Options
) -> tuple[Vector, Vector, list[str]]:
    """Return losses, their standard errors (NaN where they are not known well enough) and the reason of each gap."""
    reasons: list[str] = []

    def fit(i: int) -> lrmes.Simulated:
        if options.lrmes == "simulation":
            return simulate(lrmes.simulated_lrmes, returns[:, [i]], market)
        return simulate(garch.simulate_lrmes, garch.market_model(returns[:, i], market))

    def simulate(simulator: Callable[..., lrmes.Simulated], *inputs: object) -> lrmes.Simulated:
        horizon = int(options.horizon or lrmes.SIX_MONTHS)
        return simulator(*inputs, decline=options.decline, horizon=horizon, paths=options.paths, seed=options.seed)

    found = _each(sample, fit, reasons)
    values, errors = np.full((2, len(found)), np.nan)
    for i, one in enumerate(found):
        if one is not None:
            reasons[i] = one.lacking(0)
            values[i], errors[i] = one.sure.lrmes[0], one.standard_error[0]
    return values, errors, reasons


MEASURES: dict[str, Callable[[Sample, Options], Iterator[Row]]] = {
    "absorption": _absorption,
    "covar": partial(_covar, delta=False),
    "delta-covar": partial(_covar, delta=True),
    "distance-to-default": _distance,
    "mes": _mes,
    "spillover": _spillover,
    "srisk": _srisk,
    "turbulence": _turbulence,
}
