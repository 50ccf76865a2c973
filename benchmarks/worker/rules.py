"""A hundred rules with state, once as data for plain code and once as a pack."""

from __future__ import annotations

from dataclasses import dataclass

COUNT = 100
INDICATORS = 200


@dataclass(frozen=True, slots=True)
class Threshold:
    """Two levels over one indicator that must hold for some filings, and a lower bound that clears them."""

    id: str
    indicator: str
    watch: float
    warning: float
    clear: float
    hold: int


RULES = [
    Threshold(f"bench.r{n:03d}", f"x{(7 * n) % INDICATORS:04d}", 1.145, 1.18, 1.10, 2 if n % 5 == 0 else 1)
    for n in range(COUNT)
]
"""Over values around 1 with a spread of 5 %: an alert opens for about one filing in eight."""


def pack() -> str:
    """Return the rules as the text of a pack."""
    lines = ["pack: bench", 'version: "1"', "title: {en: Rules to measure with}", "rules:"]
    for rule in RULES:
        x = rule.indicator
        lines += [
            f"  - id: {rule.id}",
            f"    title: {{en: '{x} is high'}}",
            "    levels:",
            f"      watch: {x} > {rule.watch}",
            f"      warning: {x} > {rule.warning}",
            f"    for: {rule.hold} filings",
            f"    clear: not ({x} > {rule.clear}) for 1 filings",
            f'    message: {{en: "{{institution.name}}: {{{x}:.3f}}"}}',
        ]
    return "\n".join(lines) + "\n"
