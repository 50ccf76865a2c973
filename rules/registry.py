"""Institutions under supervision, as the registry topic and the seed files describe them."""

from __future__ import annotations

import msgspec


class Institution(msgspec.Struct, frozen=True, omit_defaults=True):
    """One supervised bank or insurer.

    `opened` is the ISO date on which it began business: it counts as new for five years among its peers. `closed` is
    the ISO date from which on it owes nothing any more, `registered` the ISO instant at which it came into the registry
    (`rules.obligations`).
    `attributes` holds whatever else a jurisdiction keeps (strings or numbers); rules may group by it, as in
    `by=attributes.city`.
    """

    code: str
    name: dict[str, str] = {}
    type: str = ""
    region: str = ""
    peer_group: str = ""
    lei: str = ""
    dsib_bucket: int = 0
    attributes: dict[str, str | float] = {}
    opened: str = ""
    closed: str = ""
    registered: str = ""

    def title(self, language: str = "en") -> str:
        """Name in `language`, else in English, else any, else the code."""
        return self.name.get(language) or self.name.get("en") or next(iter(self.name.values()), self.code)

    def attribute(self, name: str) -> str:
        """Return an attribute as text: one of the registry's own, or `attributes.NAME`; empty where it has none.

        >>> Institution("CN001", dsib_bucket=2, attributes={"city": "Suzhou"}).attribute("attributes.city")
        'Suzhou'
        """
        if name.startswith(OTHER_ATTRIBUTES):
            return str(self.attributes.get(name.removeprefix(OTHER_ATTRIBUTES), ""))
        return str(getattr(self, name))


TEXT_ATTRIBUTES = ("code", "type", "region", "peer_group", "lei")
NUMBER_ATTRIBUTES = ("dsib_bucket",)
OTHER_ATTRIBUTES = "attributes."
