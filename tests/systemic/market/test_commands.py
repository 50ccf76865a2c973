"""`guanlan systemic credit-gap` and `market`: files in, rows out, one sentence when something is wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from guanlan.market_tables import parse_day, read_table
from guanlan.systemic_market_io import register
from rules.problems import GuanlanError, InputError
from systemic.arrays import Matrix
from systemic.market.absorption import absorption_ratio, turbulence
from systemic.market.covar import conditional_covar, covar
from systemic.market.distance import kmv, option_value
from systemic.market.lrmes import lrmes_from_beta, lrmes_from_mes, market_beta, simulated_lrmes
from systemic.market.mes import marginal_expected_shortfall
from systemic.market.quantile import quantile_regression
from systemic.market.returns import price_returns
from systemic.market.spillover import spillover
from systemic.market.srisk import capital_shortfall
from systemic.stress.creditgap import one_sided_trend
from tests.systemic.market.test_distance import asset_path
from tests.systemic.market.worlds import correlated

app = typer.Typer()
register(app)

NAMES = ("M", "A", "B", "C")
START = date(2020, 1, 1)


def run(*arguments: object) -> list[dict[str, str]]:
    """Run a command and return its CSV rows."""
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def refused(*arguments: object) -> str:
    """Run a command that must refuse, and return its message."""
    with pytest.raises(GuanlanError) as raised:
        CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    return str(raised.value)


def column(rows: Sequence[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) if row[name] else float("nan") for row in rows]


def write(path: Path, names: Sequence[str], values: Matrix) -> Path:
    days = [START + timedelta(days=t) for t in range(len(values))]
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["date", *names])
        for day, row in zip(days, values, strict=True):
            writer.writerow([day, *("" if np.isnan(value) else repr(float(value)) for value in row)])
    return path


@pytest.fixture
def prices() -> Matrix:
    return 100 * np.exp(np.cumsum(np.vstack([np.zeros(4), correlated(320, 4, seed=6)]), axis=0))


@pytest.fixture
def quotes(tmp_path: Path, prices: Matrix) -> Path:
    return write(tmp_path / "prices.csv", NAMES, prices)


@pytest.fixture
def balances(tmp_path: Path, prices: Matrix) -> list[object]:
    caps = write(tmp_path / "caps.csv", NAMES[1:], prices[:, 1:])
    debts = tmp_path / "debts.csv"
    debts.write_text("quarter,A,B,C\nQ4 2019,1000,2000,3000\nQ3 2020,1100,2000,3300\n")
    return ["--market-caps", caps, "--liabilities", debts]


@pytest.mark.parametrize("kind", ["log", "simple"])
def test_mes_of_all_institutions(quotes: Path, prices: Matrix, kind: str) -> None:
    rows = run("market", "--measure", "mes", "--prices", quotes, "--market", "M", "--return-kind", kind)
    table = price_returns(prices, kind)  # type: ignore[arg-type]
    assert [row["institution"] for row in rows] == ["A", "B", "C"]
    np.testing.assert_allclose(column(rows, "mes"), marginal_expected_shortfall(table[:, 1:], table[:, 0]))
    turned = run(
        "market", "--measure", "mes", "--prices", quotes, "--market", "M", "--return-kind", kind, "--sign", "return"
    )
    np.testing.assert_array_equal(column(turned, "mes"), [-value for value in column(rows, "mes")])
    assert {row["days"] for row in rows} == {"16"}


def test_returns_can_be_given_instead_of_prices(tmp_path: Path, prices: Matrix) -> None:
    table = price_returns(prices)
    path = write(tmp_path / "returns.csv", NAMES, table)
    rows = run("market", "--measure", "mes", "--returns", path, "--market", "M", "--level", 0.1, "--tail", "weak")
    expected = marginal_expected_shortfall(table[:, 1:], table[:, 0], level=0.1, tail="weak")
    np.testing.assert_allclose(column(rows, "mes"), expected)


@pytest.mark.parametrize("var", ["normal", "empirical"])
def test_covar_and_delta_covar(quotes: Path, prices: Matrix, var: str) -> None:
    table = price_returns(prices)
    expected = covar(table[:, 1:], table[:, 0], var=var)  # type: ignore[arg-type]
    rows = run("market", "--measure", "covar", "--prices", quotes, "--market", "M", "--var", var)
    np.testing.assert_allclose(column(rows, "var"), expected.var)
    np.testing.assert_allclose(column(rows, "covar"), expected.covar)
    rows = run("market", "--measure", "delta-covar", "--prices", quotes, "--market", "M", "--var", var)
    np.testing.assert_allclose(column(rows, "delta_covar"), expected.delta)


def test_covar_given_lagged_states(tmp_path: Path, prices: Matrix) -> None:
    table, states = price_returns(prices), np.random.default_rng(0).normal(size=(320, 2))
    arguments = (
        "--returns",
        write(tmp_path / "r.csv", NAMES, table),
        "--states",
        write(tmp_path / "s.csv", "XY", states),
    )
    expected = conditional_covar(table[:, 1:], table[:, 0], states)
    rows = run("market", "--measure", "delta-covar", *arguments, "--market", "M")
    assert (rows[0]["date"], len(rows)) == ("2020-01-02", 3 * 319)
    np.testing.assert_allclose(np.reshape(column(rows, "delta_covar"), (319, 3)), expected.delta[1:])
    rows = run("market", "--measure", "covar", *arguments, "--market", "M", "--last", "--sign", "return")
    np.testing.assert_allclose(column(rows, "covar"), -expected.covar[-1])


def test_absorption_by_share_and_by_number(quotes: Path, prices: Matrix) -> None:
    table = price_returns(prices)
    (row,) = run("market", "--measure", "absorption", "--prices", quotes, "--share", 0.5)
    assert float(row["absorption_ratio"]) == pytest.approx(absorption_ratio(table, share=0.5))
    assert (row["eigenvectors"], row["institutions"]) == ("2", "4")
    arguments = ("--market", "M", "--number", 1, "--moments", "correlation", "--half-life", 60)
    (row,) = run("market", "--measure", "absorption", "--prices", quotes, *arguments)
    expected = absorption_ratio(table[:, 1:], number=1, moments="correlation", half_life=60)
    assert float(row["absorption_ratio"]) == pytest.approx(expected)


def test_turbulence_over_the_sample_and_by_window(quotes: Path, prices: Matrix) -> None:
    table = price_returns(prices)
    rows = run("market", "--measure", "turbulence", "--prices", quotes)
    np.testing.assert_allclose(column(rows, "turbulence"), turbulence(table))
    rows = run("market", "--measure", "turbulence", "--prices", quotes, "--window", 100, "--scaled")
    np.testing.assert_allclose(column(rows, "turbulence"), turbulence(table, window=100, scaled=True)[100:])


def test_spillover_in_three_details(quotes: Path, prices: Matrix) -> None:
    """In percent: rows of pairs sum to 100 for each receiver."""
    expected = spillover(price_returns(prices), order=2, horizon=5)
    arguments = ("market", "--measure", "spillover", "--prices", quotes, "--lags", 2, "--horizon", 5, "--detail")
    pairs = np.reshape(column(run(*arguments, "pairs"), "share"), (4, 4))
    np.testing.assert_allclose(pairs, 100 * expected.table)
    np.testing.assert_allclose(pairs.sum(axis=1), 100)
    directional = run(*arguments, "directional")
    np.testing.assert_allclose(column(directional[:4], "net"), 100 * expected.net, atol=1e-9)
    assert directional[4]["institution"] == "TOTAL"
    (total,) = run(*arguments, "total")
    assert float(total["total"]) == pytest.approx(100 * expected.total) == column(directional[4:], "from_others")[0]


@pytest.mark.parametrize("how", ["beta", "mes", "simulation"])
def test_srisk_by_each_lrmes(quotes: Path, prices: Matrix, balances: list[object], how: str) -> None:
    """The last day is 2020-11-16, so the balance sheet is that of the third quarter."""
    table = price_returns(prices)
    returns, market = table[:, 1:], table[:, 0]
    settings = {"decline": 0.1, "horizon": 40, "paths": 500}
    lost = {
        "beta": lambda: lrmes_from_beta(market_beta(returns, market), 0.1),
        "mes": lambda: lrmes_from_mes(marginal_expected_shortfall(returns, market)),
        "simulation": lambda: simulated_lrmes(returns, market, **settings).lrmes,
    }[how]()
    options = [part for key, value in settings.items() for part in (f"--{key}", value)]
    arguments = ("--prices", quotes, "--market", "M", *balances, "--k", 0.06, "--lrmes", how, *options)
    rows = run("market", "--measure", "srisk", *arguments)
    np.testing.assert_allclose(column(rows, "lrmes"), lost)
    expected = capital_shortfall(prices[-1, 1:], [1100, 2000, 3300], lost, 0.06)
    np.testing.assert_allclose(column(rows, "srisk"), expected)
    np.testing.assert_allclose(column(rows, "share"), np.maximum(expected, 0) / np.maximum(expected, 0).sum())


def test_a_balance_sheet_is_known_when_it_was_filed(quotes: Path, balances: list[object]) -> None:
    """45 days after 30 September are not over on 13 November, and are on the 14th."""
    arguments = ("market", "--measure", "srisk", "--prices", quotes, "--market", "M", *balances, "--reporting-lag", 45)
    assert column(run(*arguments, "--to", "2020-11-13"), "debt")[0] == 1000
    assert column(run(*arguments, "--to", "2020-11-14"), "debt")[0] == 1100


def test_liabilities_are_assets_less_equity(tmp_path: Path, quotes: Path, balances: list[object]) -> None:
    assets, equity = tmp_path / "assets.csv", tmp_path / "equity.csv"
    assets.write_text("date,A,B,C\n2019-12-31,1500,2500,3500\n")
    equity.write_text("date,A,B,C\n2019-12-31,500,500,500\n")
    arguments = ("market", "--measure", "srisk", "--prices", quotes, "--market", "M", *balances[:2])
    assert column(run(*arguments, "--assets", assets, "--equity", equity), "debt") == [1000, 2000, 3000]
    assert "go together" in refused(*arguments, "--assets", assets)
    assert "needs --market-caps and --liabilities" in refused(*arguments)


def test_distance_to_default_uses_every_day_and_finds_the_assets(tmp_path: Path) -> None:
    assets = asset_path()
    equity = option_value(assets, 100.0, 0.03, 0.08, 1.0)[:, None]
    caps = write(tmp_path / "caps.csv", ["A"], equity)
    debt = write(tmp_path / "debt.csv", ["A"], np.full((401, 1), 100.0))
    rates = write(tmp_path / "rates.csv", ["RF", "OTHER"], np.tile([0.03, 9.0], (401, 1)))
    given = ("--market-caps", caps, "--liabilities", debt, "--reporting-lag", 0)
    arguments = ("market", "--measure", "distance-to-default", *given)
    rows = run(*arguments, "--rate", 0.03)
    assert len(rows) == 401
    np.testing.assert_allclose(column(rows, "asset_value"), assets, rtol=1e-7)
    assert column(rows, "asset_volatility")[0] == pytest.approx(0.08, abs=1e-7)
    (last,) = run(*arguments, "--rate", f"{rates}:RF", "--last")
    assert last == rows[-1]
    (window,) = run(*arguments, "--rate", 0.03, "--window", 401)
    assert float(window["distance_to_default"]) == pytest.approx(
        kmv(equity[:, 0], np.full(401, 100.0), 0.03).distance[-1]
    )


def test_debt_is_drawn_straight_between_quarters_so_that_no_step_becomes_volatility(
    tmp_path: Path, prices: Matrix, balances: list[object]
) -> None:
    """The debt of A grows by a tenth between two reports; its asset volatility stays near equity's share."""
    arguments = ("market", "--measure", "distance-to-default", *balances, "--last")
    volatility = dict(zip("ABC", column(run(*arguments), "asset_volatility"), strict=True))
    moves = price_returns(prices[:, 1]).std(ddof=1) * np.sqrt(252)
    assert volatility["A"] == pytest.approx(moves * 100 / 1100, rel=0.5)


def test_windows_roll_and_intervals_come_beside(quotes: Path, prices: Matrix) -> None:
    arguments = ("--prices", quotes, "--market", "M", "--window", 100, "--step", 110, "--interval", 0.8)
    rows = run("market", "--measure", "mes", *arguments, "--replications", 30)
    assert [row["date"] for row in rows[::3]] == ["2020-04-10", "2020-07-29", "2020-11-16"]
    table = price_returns(prices)
    np.testing.assert_allclose(column(rows[6:], "mes"), marginal_expected_shortfall(table[-100:, 1:], table[-100:, 0]))
    assert all(float(row["low"]) <= float(row["high"]) for row in rows)
    for measure in ("delta-covar", "absorption"):
        assert "standard_error" in run("market", "--measure", measure, *arguments, "--replications", 10)[0]


def test_the_dead_are_left_out_of_the_living(tmp_path: Path, prices: Matrix) -> None:
    """A share carried on at zero has no return, so co-movement counts the three that live."""
    prices[200:, 3] = 0.0
    quotes = write(tmp_path / "p.csv", NAMES, prices)
    (row,) = run("market", "--measure", "absorption", "--prices", quotes, "--window", 50, "--step", 1_000)
    assert row["institutions"] == "3"
    assert float(row["absorption_ratio"]) == pytest.approx(absorption_ratio(price_returns(prices)[-50:, :3]))


def test_json_lines_have_null_for_what_is_missing(tmp_path: Path, quotes: Path) -> None:
    out = tmp_path / "out.jsonl"
    run("market", "--measure", "turbulence", "--prices", quotes, "--format", "jsonl", "--out", out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 320
    assert isinstance(lines[0]["turbulence"], float)


def test_the_credit_gap_in_the_columns_asked_for(tmp_path: Path) -> None:
    series = tmp_path / "credit.csv"
    ratio = 100 + np.cumsum(np.random.default_rng(1).normal(1, 2, 60))
    labels = [f"{2000 + t // 4}Q{t % 4 + 1}" for t in range(60)]
    series.write_text("quarter,ratio\n" + "".join(f"{q},{v!r}\n" for q, v in zip(labels, ratio.tolist(), strict=True)))
    rows = run("credit-gap", series)
    assert list(rows[0]) == [
        "quarter", "trend_one_sided", "gap_one_sided", "trend_two_sided", "gap_two_sided", "buffer_guide",
    ]  # fmt: skip
    assert [row["quarter"] for row in rows] == labels
    np.testing.assert_allclose(column(rows, "trend_one_sided"), one_sided_trend(ratio))
    gap = np.array(column(rows, "gap_one_sided"))
    np.testing.assert_allclose(column(rows, "buffer_guide"), np.clip((gap - 2) / 8, 0, 1) * 2.5)
    assert column(rows, "trend_one_sided")[-1] == pytest.approx(column(rows, "trend_two_sided")[-1])


def test_credit_and_gdp_make_the_ratio(tmp_path: Path) -> None:
    series = tmp_path / "credit.csv"
    series.write_text(
        "quarter,credit,gdp\n" + "".join(f"200{t // 4}-Q{t % 4 + 1},{400 + 4 * t},50\n" for t in range(12))
    )
    rows = run("credit-gap", series, "--gdp", "quarterly")
    assert rows[0]["gap_one_sided"] == ""
    assert column(rows, "trend_two_sided")[-1] == pytest.approx(100 * 444 / 200)
    assert "name one with --column" in refused("credit-gap", series)


def test_ratios_that_look_like_fractions_are_remarked_on(tmp_path: Path) -> None:
    series = tmp_path / "credit.csv"
    series.write_text("quarter,ratio\n2001Q1,1.2\n2001Q2,1.3\n2001Q3,1.4\n")
    result = CliRunner().invoke(app, ["credit-gap", str(series)])
    assert result.exit_code == 0
    assert "read as percent" in result.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("quarter,ratio\n2001Q1,100\n2001Q3,101\n", "does not follow on 2001Q1 by one quarter"),
        ("quarter,ratio\n2001Q2,100\n2001Q1,101\n", "credit.csv:3: 2001-03-31 comes after 2001-06-30"),
        ("quarter,ratio\n2001Q1,high\n", "credit.csv:2: column 'ratio' is 'high', expected a number"),
        ("quarter,ratio\n2001Q1,inf\n", "column 'ratio' is 'inf', expected a number"),
        ("quarter,ratio\n2001Q1,1,2\n", "3 cells where the header has 2"),
        ("quarter,a,a\n2001Q1,1,2\n", "two columns 'a'"),
        ("ratio,other\n100,1\n101,2\n", "the first column 'ratio' is '100', which is no date"),
        ("quarter,ratio\n2001Q1,\n2001Q2,1\n", "fewer than two quarters"),
        ("quarter,ratio\n", "should have a header"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path: Path, text: str, why: str) -> None:
    series = tmp_path / "credit.csv"
    series.write_text(text)
    assert why in refused("credit-gap", series)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--measure", "mes"], "name its column with --market"),
        (["--measure", "mes", "--market", "m"], "has no column 'm'"),
        (["--measure", "mes", "--market", "M", "--level", "5"], "--level lies between 0 and 1"),
        (["--measure", "absorption", "--window", "5000"], "longer than the sample of 320"),
        (["--measure", "absorption", "--number", "9"], "between 1 and 4"),
        (["--measure", "absorption", "--from", "2030-01-01"], "fewer than two returns"),
        (["--measure", "spillover", "--lags", "200"], "too few for"),
        (["--measure", "srisk", "--market", "M", "--rate", "high"], "a number or FILE.csv:COLUMN"),
        (["--measure", "spillover", "--horizon", "-1"], "--horizon must be above 0"),
        (["--measure", "spillover", "--horizon", "1.5"], "counts whole rows for spillover"),
        (["--measure", "absorption", "--half-life", "-3"], "the half life is above 0 rows"),
        (["--measure", "mes", "--returns", "r.csv"], "not both"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_one_sentence(quotes: Path, arguments: list[str], why: str) -> None:
    message = refused("market", "--prices", quotes, *arguments)
    assert why in message
    assert "\n" not in message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "can't be read: No such file" in refused("credit-gap", tmp_path / "none.csv")
    assert "give --prices" in refused("market", "--measure", "mes")


def test_days_and_quarters_are_dates() -> None:
    assert [parse_day(label) for label in ("2008Q3", "2008-Q3", "Q3 2008", "2008/09/30", "2008-09-30T00:00")] == [
        date(2008, 9, 30)
    ] * 5
    assert parse_day("2008Q4") == date(2008, 12, 31)


@pytest.mark.parametrize(
    "label",
    ["01/02/2020", "2020-13-45", "20200102", "2020-W01-4", "2020-01-02 to 03", "2020-01-02T09:30", "2020Q5", "t2", ""],
)
def test_a_row_that_is_no_date_and_no_quarter_is_refused_with_its_place(tmp_path: Path, label: str) -> None:
    """One bad cell must not switch off what is checked of the others: that they ascend, without repeats."""
    path = tmp_path / "p.csv"
    path.write_text(f"date,M,A\n2020-01-01,1,1\n{label},2,2\n2020-01-01,3,3\n")
    with pytest.raises(InputError, match=r"p\.csv:3: the first column 'date' is .* no date like 2008-09-15"):
        read_table(path)


@pytest.mark.parametrize("cell", ["1_000", "1,5", "１２", "0x10", "inf", "1e31", "1e400", "- 5"])
def test_what_is_no_plain_number_or_beyond_any_amount_is_refused(tmp_path: Path, cell: str) -> None:
    """Python reads 1_000, full-width digits and infinities; and sums of 1e308 overflow."""
    path = tmp_path / "p.csv"
    path.write_text(f'date,M,A\n2020-01-01,1,1\n2020-01-02,2,"{cell}"\n')
    with pytest.raises(InputError, match=r"p\.csv:3: column 'A' is"):
        read_table(path)


@pytest.mark.parametrize(
    ("option", "file", "why"),
    [
        ("--liabilities", "date,A,B,C\n2019-12-31,-1,2,3\n", "'A' is -1 on 2019-12-31; liabilities"),
        ("--market-caps", "date,A,B,C\n2019-12-31,1,-2,3\n", "'B' is -2 on 2019-12-31; a market value"),
        ("--prices", "date,M,A\n2020-01-01,1,1\n2020-01-02,1,-1\n2020-01-03,1,2\n", "'A' is -1 on 2020-01-02; a price"),
        ("--returns", "date,M,A,B,C\n2020-01-01,99,98,50,7\n2020-01-02,99,97,51,7\n", "Prices go with --prices"),
        ("--returns", "date,M,A,B,C\n2020-01-01,1.2,0.9,-1,2\n2020-01-02,-0.8,2,1,-1\n", "0.012 for 1.2 %"),
    ],
)
def test_amounts_below_zero_and_prices_as_returns_are_refused(
    tmp_path: Path, quotes: Path, balances: list[object], option: str, file: str, why: str
) -> None:
    path = tmp_path / "given.csv"
    path.write_text(file)
    given = dict(zip(balances[::2], balances[1::2], strict=True)) | {"--prices": quotes} | {option: path}
    if option == "--returns":
        del given["--prices"]
    arguments = [part for pair in given.items() for part in pair]
    message = refused("market", "--measure", "srisk", "--market", "M", *arguments)
    assert why in message
    assert "\n" not in message


def test_equity_above_assets_is_refused(tmp_path: Path, quotes: Path, balances: list[object]) -> None:
    assets, equity = tmp_path / "assets.csv", tmp_path / "equity.csv"
    assets.write_text("date,A,B,C\n2019-12-31,1500,2500,3500\n")
    equity.write_text("date,A,B,C\n2019-12-31,500,2600,500\n")
    arguments = ("market", "--measure", "srisk", "--prices", quotes, "--market", "M", *balances[:2])
    assert "the equity of 'B' is above its assets" in refused(*arguments, "--assets", assets, "--equity", equity)


def test_an_institution_named_twice_is_refused(quotes: Path) -> None:
    arguments = ("market", "--measure", "mes", "--prices", quotes, "--market", "M")
    assert "names 'A' twice" in refused(*arguments, "--institutions", "A,B,A")


@pytest.mark.parametrize(
    ("file", "options", "why"),
    [
        ("quarter,ratio\n2001Q1,150\n2001Q2,-3\n", (), "'ratio' is -3 on 2001Q2; credit over GDP is never below 0"),
        ("quarter,credit,gdp\n2001Q1,9,0\n2001Q2,9,9\n", ("--gdp", "annual"), "'gdp' is 0 on 2001Q1; GDP is above 0"),
        ("quarter,credit,gdp\n2001Q1,-9,9\n2001Q2,9,9\n", ("--gdp", "annual"), "'credit' is -9 on 2001Q1"),
    ],
)
def test_credit_and_gdp_that_can_t_be_are_refused(
    tmp_path: Path, file: str, options: tuple[str, ...], why: str
) -> None:
    path = tmp_path / "credit.csv"
    path.write_text(file)
    assert why in refused("credit-gap", path, *options)


@pytest.mark.parametrize("lag", [None, 0])
def test_a_balance_sheet_of_hindsight_is_said(quotes: Path, balances: list[object], lag: int | None) -> None:
    """By default a balance sheet is known 45 days after its date; on its own date nobody knows it."""
    arguments = ["market", "--measure", "srisk", "--prices", quotes, "--market", "M", *balances, "--to", "2020-10-01"]
    arguments += [] if lag is None else ["--reporting-lag", lag]
    found = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert [row["reporting_lag_days"] for row in rows] == ["45" if lag is None else "0"] * 3
    assert float(rows[0]["debt"]) == (1000 if lag is None else 1100)
    assert ("nobody knew" in found.stderr) == (lag == 0)


@pytest.mark.parametrize("cut", [(), ("--from", "2020-06-01")])
def test_the_state_of_the_day_before_the_sample_counts(tmp_path: Path, cut: tuple[str, ...]) -> None:
    """Every return has a day before it, and is fitted to the states of that day: nothing is dropped at the start.

    The yardstick is exact quantile regression, written out for the full sample (Adrian & Brunnermeier 2016, eq. 11).
    """
    generator = np.random.default_rng(5)
    days = [date(2020, 5, 1) + timedelta(days=t) for t in range(120)]
    prices = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, (120, 2)), axis=0))
    state = generator.normal(20, 3, 120)
    quotes, states = tmp_path / "p.csv", tmp_path / "s.csv"
    quotes.write_text(
        "date,M,A\n" + "".join(f"{d},{m!r},{a!r}\n" for d, (m, a) in zip(days, prices.tolist(), strict=True))
    )
    states.write_text("date,VIX\n" + "".join(f"{d},{v!r}\n" for d, v in zip(days, state.tolist(), strict=True)))
    rows = run("market", "--measure", "delta-covar", "--prices", quotes, "--market", "M", "--states", states, *cut)
    first = 31 if cut else 1
    assert [row["date"] for row in rows] == [str(day) for day in days[first:]]
    market, own = np.diff(np.log(prices), axis=0)[first - 1 :].T
    past = state[first - 1 : -1]
    design = np.column_stack([np.ones(len(past)), past])
    distress, median = (design @ quantile_regression(own, past, level) for level in (0.05, 0.5))
    slope = quantile_regression(market, np.column_stack([past, own]), 0.05)[-1]
    np.testing.assert_allclose(column(rows, "delta_covar"), slope * (median - distress), rtol=1e-8)


SURE = ("--interval", 0.9, "--replications", 20)


@pytest.mark.parametrize("measure", ["mes", "covar", "delta-covar", "srisk", "spillover", "distance-to-default"])
def test_an_interval_and_ranks_stand_beside_every_institution(
    quotes: Path, balances: list[object], measure: str
) -> None:
    """Rank 1 is the riskiest: the largest loss, or the nearest to default."""
    market = () if measure == "distance-to-default" else ("--prices", quotes, "--market", "M")
    others = balances if measure in ("srisk", "distance-to-default") else ()
    rows = run("market", "--measure", measure, *market, *others, "--last", *SURE)
    value = {"spillover": "net", "distance-to-default": "distance_to_default"}.get(measure, measure.replace("-", "_"))
    of_all = [row for row in rows if row["institution"] != "TOTAL"]
    values, ranks = column(of_all, value), column(of_all, "rank")
    worst = np.argmin(values) if measure == "distance-to-default" else np.argmax(values)
    assert ranks[worst] == 1
    assert sorted(ranks) == [1, 2, 3]
    for row in of_all:
        assert float(row["low"]) <= float(row["high"])
        assert 1 <= int(row["rank_low"]) <= int(row["rank_high"]) <= 3
    if measure in ("spillover", "distance-to-default"):
        assert all(float(row["low"]) <= float(row[value]) <= float(row["high"]) for row in of_all)


def test_the_sign_turns_the_interval_and_not_the_ranks(quotes: Path) -> None:
    arguments = ("market", "--measure", "mes", "--prices", quotes, "--market", "M", *SURE)
    losses, returns = run(*arguments), run(*arguments, "--sign", "return")
    assert column(returns, "low") == [-high for high in column(losses, "high")]
    assert [row["rank"] for row in returns] == [row["rank"] for row in losses]


def test_covar_by_states_has_an_interval_on_its_last_day(tmp_path: Path, quotes: Path) -> None:
    states = write(tmp_path / "s.csv", "XY", np.random.default_rng(0).normal(size=(321, 2)))
    arguments = ("market", "--measure", "delta-covar", "--prices", quotes, "--market", "M", "--states", states)
    assert "add --last or --window" in refused(*arguments, *SURE)
    rows = run(*arguments, "--last", "--institutions", "A,B", "--interval", 0.8, "--replications", 10)
    assert all(float(row["low"]) < float(row["high"]) for row in rows)


def test_states_of_other_days_are_refused(tmp_path: Path, quotes: Path) -> None:
    states = tmp_path / "s.csv"
    states.write_text("date,X\n1999-01-04,1\n1999-01-05,2\n")
    message = refused("market", "--measure", "covar", "--prices", quotes, "--market", "M", "--states", states)
    assert "no row is of a day of the sample" in message


def test_turbulence_and_the_spillover_index_are_bounded(quotes: Path) -> None:
    last = run("market", "--measure", "turbulence", "--prices", quotes, "--window", 200, *SURE)[-1]
    assert 0 < float(last["low"]) < float(last["high"])
    assert "add --window" in refused("market", "--measure", "turbulence", "--prices", quotes, *SURE)
    (total,) = run("market", "--measure", "spillover", "--prices", quotes, "--detail", "total", *SURE)
    assert float(total["low"]) < float(total["total"]) < float(total["high"])
    pairs = run("market", "--measure", "spillover", "--prices", quotes, "--detail", "pairs", *SURE)
    assert all(float(row["low"]) <= float(row["share"]) <= float(row["high"]) for row in pairs)


def test_a_simulated_loss_has_its_own_error(quotes: Path, balances: list[object]) -> None:
    arguments = ("market", "--measure", "srisk", "--prices", quotes, "--market", "M", *balances, *SURE)
    assert "lrmes_standard_error" in refused(*arguments, "--lrmes", "simulation")
