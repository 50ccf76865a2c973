"""The checks. Importing this package registers them all; their order is that of the reports at one place."""

from rules.lint.checks import (
    always,
    basis,
    direction,
    duplicate,
    flaps,
    inverted,
    lapsing,
    long_hold,
    never,
    nobody_files,
    overlap,
    translation,
    unreachable,
    zero_division,
)

__all__ = [
    "always",
    "basis",
    "direction",
    "duplicate",
    "flaps",
    "inverted",
    "lapsing",
    "long_hold",
    "never",
    "nobody_files",
    "overlap",
    "translation",
    "unreachable",
    "zero_division",
]
