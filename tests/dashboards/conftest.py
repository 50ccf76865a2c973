"""One Prometheus for all tests of dashboards and rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.asking import SCRAPE, WELL, Asked
from tests.dashboards.sector import Sector
from tests.programs import start_prometheus


@pytest.fixture(scope="package")
def sector() -> Iterator[Sector]:
    """What the worker and the desk show of a made-up sector."""
    with Sector() as made:
        yield made


@pytest.fixture(scope="package")
def asked(sector: Sector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A real Prometheus that scrapes the sector; given when every scrape of a quarter of a minute went well."""
    program = start_prometheus(tmp_path_factory.mktemp("prometheus"), SCRAPE % (sector.worker, sector.desk), {})
    try:
        found = Asked(program.url)
        found.wait(WELL)
        found.look_back()
        yield found
    finally:
        program.stop()
