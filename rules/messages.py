"""Message templates: text with `{expression:format}` parts, checked when the pack is compiled."""

from __future__ import annotations

import re

from rules.compiler import Compiler
from rules.expressions import ExpressionError, parse
from rules.plan import Node, Piece
from rules.problems import nearest, short
from rules.spelling import is_worded
from rules.units import RATIO, unit_of, words

MAX_LENGTH = 2_000
_FORMAT = re.compile(r"[-+ ]?[0-9]{0,2},?(\.[0-9]{1,2})?[%efg]?")
BUILT_IN = ("institution.name", "subject", "level", "previous", "as_of", "started", "revision", "rule.title")


def compile_template(compiler: Compiler, template: str) -> tuple[Piece, ...]:
    """Split a template into pieces; raise ExpressionError with the offset of what is wrong.

    Doubled braces stand for themselves. A part is an expression of the rule language, or one of `BUILT_IN`; after a
    colon a Python number format may follow, or one of `rules.spelling`: {change(lcr, 5):^.1pp}.
    """
    if len(template) > MAX_LENGTH:
        raise ExpressionError(MAX_LENGTH, f"the message is over {MAX_LENGTH} characters long", check="message")
    pieces: list[Piece] = []
    at, text = 0, ""
    while at < len(template):
        char = template[at]
        if template[at : at + 2] in ("{{", "}}"):
            text += char
            at += 2
        elif char == "{":
            end = template.find("}", at)
            if end < 0:
                raise ExpressionError(at, "the brace is not closed", "write {{ for a brace itself", "message")
            if text:
                pieces.append(Piece(text=text))
                text = ""
            pieces.append(_piece(compiler, template[at + 1 : end], at + 1))
            at = end + 1
        elif char == "}":
            raise ExpressionError(at, "a closing brace without an opening one", "write }} for it", "message")
        else:
            text += char
            at += 1
    if text:
        pieces.append(Piece(text=text))
    return tuple(pieces)


def _piece(compiler: Compiler, body: str, at: int) -> Piece:
    source, format_ = _split(body)
    if source.strip() in BUILT_IN:
        return Piece(name=source.strip())
    try:
        tree = parse(source)
        node = compiler.any(tree)
    except ExpressionError as err:
        fix = err.fix or nearest(source.strip(), BUILT_IN)
        raise ExpressionError(at + err.offset, err.summary, fix, err.check) from None
    if format_ and not _FORMAT.fullmatch(format_) and not is_worded(format_):
        summary = f"{short(format_)} is no number format"
        raise ExpressionError(at + len(source) + 1, summary, "as in {lcr:.1%}", "message")
    if is_worded(format_):
        _check_worded(node, format_, at + len(source) + 1)
    return Piece(node=node, format=format_, worded=is_worded(format_))


def _check_worded(node: Node, format_: str, at: int) -> None:
    """Raise ExpressionError where points are asked for of what is no fraction, or an amount of what is no money."""
    if node.kind != "number":
        raise ExpressionError(at, f"{short(format_)} needs a number", "leave the format out", "message")
    if format_.endswith("pp") and node.unit not in (RATIO, None):
        summary = f"percentage points are of ratios, this is {words(node.unit)}"
        raise ExpressionError(at, summary, "write amount for money, .1f for others", "message")
    if format_.endswith("amount") and node.unit != unit_of("currency"):
        raise ExpressionError(at, f"an amount is of money, this is {words(node.unit)}", "as in {lcr:.1%}", "message")


def _split(body: str) -> tuple[str, str]:
    quote = ""
    for index, char in enumerate(body):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == ":":
            return body[:index], body[index + 1 :]
    return body, ""
