"""The field that worker tests run in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import Broker
from tests.worker.field import Field


@pytest.fixture
def field(kafka: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Field]:
    """Topics of this test alone on the run's broker; workers started in it are stopped at the end."""
    made = Field(kafka.bootstrap, topic_prefix, tmp_path)
    yield made
    for worker in made.workers:
        worker.stop()
