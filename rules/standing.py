"""The legal basis of a rule, and whether each level of it is the law's own line or somebody's proposal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rules.keys import BASIS, LADDER
from rules.problems import nearest, short
from rules.source import Reader

Standing = Literal["law", "proposal", ""]
_STANDINGS: dict[str, Standing] = {
    "known": "law", "seen": "law", "law": "law", "proposal": "proposal", "custom": "proposal",
}  # fmt: skip
WORDS = tuple(_STANDINGS)
"""What `evidence` of a level may begin with."""


def standing(evidence: str | None) -> Standing:
    """Return whether a level is the law's line or a proposal, by the first word of its evidence; empty for neither.

    >>> standing("known, not yet compared"), standing("custom of the industry"), standing("somebody says")
    ('law', 'proposal', '')
    """
    words = (evidence or "").replace(",", " ").replace(";", " ").replace(":", " ").split()
    return _STANDINGS.get(words[0], "") if words else ""


def read_basis(r: Reader) -> tuple[dict[str, str | None], dict[int, str]]:
    """Return a rule's basis as texts, and its evidence by the number of the level where it is given by level."""
    basis: dict[str, str | None] = {}
    by_level: dict[int, str] = {}
    for key, value in r.mapping("basis").items():
        if key == "evidence" and isinstance(value.data, dict):
            inner = Reader(value, r.problems, "evidence")
            known = [k.name for k in next(k for k in BASIS if k.name == "evidence").keys]
            inner.only(known)
            texts = {name: inner.text(name, "") for name in inner.data if name in known}
            for name in LADDER:
                if name in texts:
                    if not standing(texts[name]):
                        fix = nearest(texts[name], WORDS) or f"begin with one of: {', '.join(WORDS)}"
                        summary = f"{short(texts[name])} does not say whether the level is law or a proposal"
                        r.problem(inner.place(name), "choice", summary, fix)
                    by_level[LADDER.index(name) + 1] = texts[name]
            basis[key] = "; ".join(f"{name}: {text}" for name, text in texts.items())
        else:
            basis[key] = None if value.data is None else value.text()
    return basis, by_level


def at_level(basis: Mapping[str, str | None], by_level: Mapping[int, str], level: int) -> dict[str, str | None]:
    """Return the basis as it is for one level: its own evidence where there is any, and its standing where known."""
    found = dict(basis)
    if level in by_level:
        found["evidence"] = by_level[level]
    known = standing(found.get("evidence"))
    if known:
        found["standing"] = known
    return found
