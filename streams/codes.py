"""Codes of institutions: which texts are one, and which types the catalogue knows.

A code is a text, never a number: "007" and "12E3" stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import normalize

from rules.catalogue import Catalogue
from rules.problems import nearest, short
from rules.registry import Institution

LONGEST = 64
EXACT_DIGITS = 15
"""So many digits of a number are the ones that were typed; a spreadsheet makes up those behind."""

_LEI = re.compile(r"[0-9A-Z]{18}[0-9]{2}")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)


def code_problem(what: str, text: str) -> str:
    """Return why a text is no code, empty where it is one: 1 to 64 characters that can be seen, no blanks.

    >>> code_problem("code", "CN 001")
    "'code' can't be 'CN 001': a code has no blanks and no characters that can't be seen"
    """
    if len(text) > LONGEST:
        return f"{what!r} has {len(text)} characters; a code has {LONGEST} at most"
    if not text.isprintable() or any(c.isspace() for c in text):
        return f"{what!r} can't be {short(text)}: a code has no blanks and no characters that can't be seen"
    return ""


def lei_problem(text: str) -> str:
    """Return why a text is no LEI (ISO 17442), empty where it is one.

    Its last two digits check the others: letters counted from A = 10, the whole leaves 1 when divided by 97
    (ISO/IEC 7064, MOD 97-10).

    >>> lei_problem("5493001KJTIIGC8Y1R12"), lei_problem("5493001KJTIIGC8Y1R21")
    ('', "the LEI '5493001KJTIIGC8Y1R21' is mistyped: its check digits are 12 for the others")
    """
    if not _LEI.fullmatch(text):
        return f"{short(text)} is no LEI: 18 capital letters and digits, and two check digits"
    digits = "".join(str(int(c, 36)) for c in text[:18])
    check = 98 - int(digits + "00") % 97
    if int(text[18:]) == check:
        return ""
    return f"the LEI {short(text)} is mistyped: its check digits are {check:02d} for the others"


def attribute_value(text: str) -> str | float:
    """Return a number where the text is one as people write amounts; a code of digits and letters stays a text.

    >>> [attribute_value(text) for text in ("1985", "007", "12E3", "95980020140005881190")]
    [1985.0, '007', '12E3', '95980020140005881190']
    """
    exact = sum(c.isdigit() for c in text) <= EXACT_DIGITS
    return float(text) if exact and _NUMBER.fullmatch(text) else text


def inexact(cell: object) -> bool:
    """Whether a cell is a number of more digits than a spreadsheet keeps: as a code it is not what was typed."""
    return isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) >= 10**EXACT_DIGITS


def known_types(catalogue: Catalogue) -> frozenset[str]:
    """Return the types of institutions that the catalogue's sets and forms name."""
    named = [*catalogue.sets.values(), *(form.types for form in catalogue.forms.values())]
    return frozenset(kind for types in named for kind in types)


def institution_problems(institution: Institution, types: Iterable[str] | None) -> list[str]:
    """Return what is wrong with the codes of an institution; `types` are those that are known, None for any."""
    found = [code_problem("code", institution.code)]
    for name in ("type", "region", "peer_group"):
        text = getattr(institution, name)
        if len(text) > LONGEST or not text.isprintable():
            found.append(f"{name!r} must be a text of at most {LONGEST} characters that can be seen")
    if institution.lei:
        found.append(lei_problem(institution.lei))
    if types is not None and institution.type and institution.type not in (known := sorted(types)):
        hint = nearest(_plain(institution.type), known) or f"there are: {', '.join(known)}"
        found.append(f"no set of the catalogue has the type {short(institution.type)}; {hint}")
    return [problem for problem in found if problem]


def written_twice(institutions: Iterable[Institution]) -> list[str]:
    """Return the types, regions and peer groups that stand in two spellings, as 'Large' and 'large': they are two."""
    found = []
    seen: dict[tuple[str, str], Institution] = {}
    for institution in institutions:
        for name in ("type", "region", "peer_group"):
            text = getattr(institution, name)
            first = seen.setdefault((name, _plain(text)), institution)
            if text and getattr(first, name) != text:
                told = f"{name!r} is {text!r} for {institution.code} and {getattr(first, name)!r} for {first.code}"
                found.append(f"{told}: write it in one way, or they count as two")
    return list(dict.fromkeys(found))


def _plain(text: str) -> str:
    return "_".join(normalize("NFKC", text).casefold().replace("-", " ").replace("_", " ").split())
