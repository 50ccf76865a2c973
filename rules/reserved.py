"""Names that the system uses itself and that nobody else may give.

Rules whose ids begin so are generated from the catalogue (`rules.values`, `rules.stress`): what they read is filed as
a measure, so an author's rule of such a name would be taken for one.
"""

from __future__ import annotations

from rules import stress, values

RULES = (values.PACK, stress.PACK)
"""First words of the ids of generated rules."""


def taken(ident: str) -> str:
    """Return the first word of a rule's id if the system uses it itself, '' otherwise.

    >>> taken("values.concentration"), taken("stress"), taken("bank.values.hhi")
    ('values', 'stress', '')
    """
    first = ident.partition(".")[0]
    return first if first in RULES else ""
