"""What a run found, part by part, and the file it is written to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.rows import Row


@dataclass(slots=True)
class Found:
    """Rows by module, in the order in which they were measured; when, under what load, and what failed."""

    quick: bool
    runs: int
    brokers: dict[str, str] = field(default_factory=dict)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, rows: list[Row], why: str, seconds: float, load: float) -> None:
        """Take in what a module measured, or why it could not."""
        self.parts[name] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "load": load,
            "seconds": round(seconds, 1),
            "failed": why,
            "runs": self.runs,
            "quick": self.quick,
            "rows": [row.as_dict() for row in rows],
        }

    def keep(self, file: Path, but: list[str]) -> None:
        """Take over what a file has of parts that are not measured now."""
        before = json.loads(file.read_text(encoding="utf-8"))
        self.parts |= {name: part for name, part in before["parts"].items() if name not in but}
        self.brokers |= before["brokers"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows, those of one table section together."""
        rows = [row for part in self.parts.values() for row in part["rows"]]
        places = {part: place for place, part in enumerate(dict.fromkeys(row["part"] for row in rows))}
        return sorted(rows, key=lambda row: places[row["part"]])

    @property
    def failed(self) -> dict[str, str]:
        """Why parts could not be measured."""
        return {name: part["failed"] for name, part in self.parts.items() if part["failed"]}

    @property
    def said(self) -> str:
        """The machine in a line."""
        told = machine()
        words = [f"{told['processor']}, {told['cores']} cores, {told['memory_gib']} GiB", f"Python {told['python']}"]
        return "; ".join([*words, *self.brokers.values()])

    def write(self, file: Path) -> None:
        """Write the file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        told = {"machine": machine(), "brokers": self.brokers, "parts": self.parts, "rows": self.rows}
        file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
