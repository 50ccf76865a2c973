"""Write the dashboards' JSON beside this module: `python -m deploy.grafana.build`."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana import system_overview

FOLDER = Path(__file__).parent / "dashboards"


def rendered() -> dict[str, str]:
    """Return the text of each dashboard's file by its name."""
    return {"system-overview.json": _text(system_overview.build())}


def _text(builder: object) -> str:
    board = builder.build()  # type: ignore[attr-defined]
    for number, panel in enumerate(board.panels, start=1):
        panel.id_val = number
    return JSONEncoder(indent=2, sort_keys=True, ensure_ascii=False).encode(board) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
