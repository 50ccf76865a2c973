"""The jobs every way of doing it gets: filings of the documented generator, and rules with state over them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from guanlan.synthetic.wide import Wide, wide_filings

WATCH, WARNING, CLEAR = 1.145, 1.18, 1.10
RISE, LEAP, CALM = 0.20, 0.25, 0.12


@dataclass(frozen=True, slots=True)
class Threshold:
    """Two levels over one number that must hold for some filings, and a bound below which they clear.

    The number is the indicator, or with `change` how much it rose since the institution's filing before; it is
    missing when one of the two is.
    """

    id: str
    indicator: str
    watch: float
    warning: float
    clear: float
    hold: int
    change: bool = False


@dataclass(frozen=True)
class Job:
    """So many filings, of so many indicators each, of so many institutions, date by date; and so many rules.

    Every fifth rule must hold for two filings. With `history`, every tenth looks at a change over one filing.
    """

    name: str
    institutions: int
    indicators: int
    rules: int
    filings: int
    history: bool = False
    seed: int = 7

    @cached_property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The rules as data, for code that is no rule engine. An alert opens for about 0.2 % of evaluations."""
        found = []
        for n in range(self.rules):
            change = self.history and n % 10 == 3
            bounds = (RISE, LEAP, CALM) if change else (WATCH, WARNING, CLEAR)
            x = f"x{(7 * n) % self.indicators:04d}"
            found.append(Threshold(f"bench.r{n:03d}", x, *bounds, 2 if n % 5 == 0 else 1, change))
        return tuple(found)

    @cached_property
    def pack(self) -> str:
        """The same rules as the text of a pack."""
        lines = ["pack: bench", 'version: "1"', "title: {en: Rules to measure with}", "rules:"]
        for rule in self.thresholds:
            x = f"change({rule.indicator}, 1)" if rule.change else rule.indicator
            lines += [
                f"  - id: {rule.id}",
                f"    title: {{en: '{rule.indicator} is high'}}",
                "    levels:",
                f"      watch: {x} > {rule.watch}",
                f"      warning: {x} > {rule.warning}",
                f"    for: {rule.hold} filings",
                f"    clear: not ({x} > {rule.clear}) for 1 filings",
                f'    message: {{en: "{{institution.name}}: {{{rule.indicator}:.3f}}"}}',
            ]
        return "\n".join(lines) + "\n"

    @cached_property
    def wide(self) -> Wide:
        """The generator of the filings, and the catalogue. Only the first 20 indicators become series."""
        wide = wide_filings(self.institutions, self.indicators, self.filings, self.seed)
        lines = wide.catalogue.splitlines()
        first = next(i for i, line in enumerate(lines) if "{id: x0000" in line)
        lines[first + 20 :] = [
            line.replace("unit: ratio", "unit: ratio, series: false") for line in lines[first + 20 :]
        ]
        return replace(wide, catalogue="\n".join(lines) + "\n")

    @property
    def values(self) -> int:
        """Values in all filings, missing ones too."""
        return self.filings * self.indicators

    def text(self) -> str:
        """Say what it is in a few words."""
        kind = ", one in ten over a change" if self.history else ""
        return f"{self.filings:,} filings × {self.indicators:,} values, {self.rules} rules with state{kind}"


SMALL = Job("small", institutions=1_000, indicators=200, rules=100, filings=80_000)
LARGE = Job("large", institutions=1_000, indicators=2_000, rules=500, filings=12_000, history=True)
SECTOR = Job("sector", institutions=5_000, indicators=2_000, rules=500, filings=5_000, history=True)


def quick(job: Job) -> Job:
    """A job of a fifth of the filings; and of so few institutions that there are four dates where there were."""
    filings = job.filings // 5
    dates = min(4, job.filings // job.institutions)
    return replace(job, filings=filings, institutions=min(job.institutions, filings // dates))
