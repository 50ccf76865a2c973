"""Contagion against numbers that the README of the R package NetworkRiskMeasures prints.

The package stops iterating when the change of all stress is below 7e-4, so its DebtRank lies up to a tenth of a
percent below the solution; its cascades end by themselves and agree to every digit printed.
"""

from __future__ import annotations

import numpy as np
import pytest

from systemic.network.cascade import threshold_cascade
from systemic.network.debtrank import linear_debtrank
from tests.systemic.network.worlds import simulated_banks

CODES, EXPOSURES, BUFFER, WEIGHT = simulated_banks()
ALONE = np.eye(len(CODES))

DEBTRANK = """
b55  0.1102 0.280 58.4 235.8 17
b28  0.0638 0.182 63.5  99.3  8
b84  0.0236 0.117  7.6  65.7  2
b69  0.0133 0.114 13.0  36.6  2
b75  0.0099 0.113  9.6  30.5  2
b33  0.0243 0.088 27.4  33.6  2
b120 0.0099 0.077  8.4  18.1  2
b77  0.0067 0.065  9.4   8.9  1
b74  0.0161 0.064 14.4  27.9  3
b101 0.0070 0.060  9.3  17.1  2
"""
THRESHOLD = """
b55  0.1102 0.273 58.4 221.1 16
b28  0.0638 0.167 63.5  88.4  7
b84  0.0236 0.098  7.6  62.0  2
b69  0.0133 0.096 13.0  34.1  2
b75  0.0099 0.095  9.6  28.1  2
b120 0.0099 0.075  8.4  17.0  2
b27  0.0173 0.059 20.5  18.8  3
b74  0.0161 0.056 14.4  26.1  3
b101 0.0070 0.052  9.3  15.6  2
b80  0.0084 0.051  9.2   7.5  1
"""
UNIFORM = """
0.23 0.23 0.25 182 179 14
0.22 0.22 0.25 174 173 13
0.21 0.21 0.25 166 167 12
0.24 0.24 0.25 190 185 15
0.20 0.20 0.25 158 161 11
0.25 0.25 0.25 198 191 16
0.19 0.19 0.25 150 155 10
0.18 0.18 0.25 142 149 10
0.17 0.17 0.24 134 142 10
0.16 0.16 0.24 127 136 10
"""


def printed(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()]


@pytest.mark.parametrize(("method", "table"), [(linear_debtrank, DEBTRANK), (threshold_cascade, THRESHOLD)])
def test_each_bank_alone(method: object, table: str) -> None:
    """The ten banks with the highest additional stress, in order, with all five totals as printed."""
    end = method(EXPOSURES, BUFFER, ALONE, WEIGHT)  # type: ignore[operator]
    for (code, *numbers), bank in zip(printed(table), np.argsort(-end.additional_stress), strict=False):
        assert CODES[bank] == code
        assert numbers == [
            f"{end.original_stress[bank]:.4f}",
            f"{end.additional_stress[bank]:.3f}",
            f"{end.original_losses[bank]:.1f}",
            f"{end.additional_losses[bank]:.1f}",
            f"{end.additional_defaults[bank]}",
        ]


def test_shocks_to_all_banks() -> None:
    """Shocks of 16 % to 25 % of every buffer."""
    for size, *numbers in printed(UNIFORM):
        end = linear_debtrank(EXPOSURES, BUFFER, np.full(len(CODES), float(size)), WEIGHT)
        assert numbers == [
            f"{end.original_stress:.2f}",
            f"{end.additional_stress:.2f}",
            f"{end.original_losses:.0f}",
            f"{end.additional_losses:.0f}",
            f"{end.additional_defaults}",
        ]


def test_the_first_six_cascades_to_ten_digits() -> None:
    end = threshold_cascade(EXPOSURES, BUFFER, ALONE, WEIGHT)
    printed_stress = [0.0187702836, 0.0014304155, 0.0005137390, 0.0023841317, 0.0076966953, 0.0005486289]
    assert end.additional_stress[:6].round(10).tolist() == printed_stress


def test_early_stopping_falls_short_of_the_solution() -> None:
    """The README's DebtRank of the first six banks lies below ours, by less than 1 %."""
    stopped = np.array([0.0278774471, 0.0015547276, 0.0005985364, 0.0074578714, 0.0093804082, 0.0009334068])
    found = linear_debtrank(EXPOSURES, BUFFER, ALONE, WEIGHT).additional_stress[:6]
    assert (found > stopped).all()
    assert found == pytest.approx(stopped, rel=0.01)
