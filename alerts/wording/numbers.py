"""Numbers with their units, as people write them: `rules.spelling`, under the name that readers of alerts use."""

from rules.spelling import number

__all__ = ["number"]
