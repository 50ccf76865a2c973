"""One Prometheus for all tests of dashboards and rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.asking import SCRAPE, WELL, Asked
from tests.dashboards.sector import Sector
from tests.programs import start_prometheus


@pytest.fixture(scope="package")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A real Prometheus that scrapes a real exposition; given when every scrape of ten seconds went well."""
    with Sector() as sector:
        program = start_prometheus(tmp_path_factory.mktemp("prometheus"), SCRAPE % (sector.worker, sector.desk), {})
        try:
            found = Asked(program.url, sector)
            found.wait(WELL)
            yield found
        finally:
            program.stop()
