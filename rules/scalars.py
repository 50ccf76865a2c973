"""Where a character of a YAML scalar stands in the file, however the scalar is written.

YAML folds lines, strips indentation and replaces escapes; what is not white space it keeps, in order. So the
n-th visible character of the value is the n-th visible character of what is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

BLANK = frozenset(" \t\r\n\x85\u2028\u2029")
_ESCAPE = re.compile(r"\\(?:x(..)|u(....)|U(.{8})|(\r\n|.))", re.DOTALL)
_BLANK_ESCAPES = frozenset("tnr NLP\n\r\t\x85\u2028\u2029")


def index_of(raw: str, style: str, value: str, offset: int) -> int:
    """Return the index in `raw` of character `offset` of `value`; the place behind the last for its end.

    `raw` is the scalar as written, quotes and block sign included; `style` is YAML's: "" or None plain, ' " | >.
    """
    visible = list(_visible(raw, style))
    before = sum(char not in BLANK for char in value[:offset])
    if offset < len(value) and value[offset] not in BLANK and before < len(visible):
        return visible[before][0]
    if not before or before > len(visible):
        return _first(raw, style)
    start, width = visible[before - 1]
    blanks = len(value[:offset]) - len(value[:offset].rstrip("".join(BLANK)))
    return min(start + width + blanks, len(raw))


def _first(raw: str, style: str) -> int:
    if style in ("|", ">"):
        return raw.find("\n") + 1
    return 1 if style else 0


def _visible(raw: str, style: str) -> Iterator[tuple[int, int]]:
    """Index and width of each character that is not white space, as written."""
    at = _first(raw, style)
    end = len(raw) - 1 if style in ("'", '"') and len(raw) > 1 else len(raw)
    while at < end:
        width, blank = 1, raw[at] in BLANK
        if style == "'" and raw[at : at + 2] == "''":
            width = 2
        elif style == '"' and (escape := _ESCAPE.match(raw, at)):
            width, blank = len(escape.group()), _is_blank(escape)
        if not blank:
            yield at, width
        at += width


def _is_blank(escape: re.Match[str]) -> bool:
    *codes, letter = escape.groups()
    code = next((c for c in codes if c), None)
    if code is not None:
        return chr(int(code, 16)) in BLANK
    return letter[0] in _BLANK_ESCAPES
