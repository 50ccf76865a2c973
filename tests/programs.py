"""Prometheus and Alertmanager as real programs on free ports of loopback, for one test each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx

from guanlan import parts
from streams.daemon import LOOPBACK, Daemon, free_port


@dataclass(frozen=True)
class Program:
    """A running program with an HTTP address; `folder` holds its configuration, data and log."""

    url: str
    folder: Path
    daemon: Daemon

    def stop(self) -> None:
        """Stop it; does nothing when it does not run."""
        self.daemon.stop()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.daemon.kill()

    def restart(self) -> None:
        """Start it again, on the same port and with the data it had."""
        self.daemon.stop()
        self.daemon.start(lambda: _ready(self.url))


def start_prometheus(folder: Path, config: str, files: dict[str, str]) -> Program:
    """Start Prometheus with this configuration; `files` (rules, targets) are written beside it."""
    flags = ["--config.file={config}", "--storage.tsdb.path={data}", "--web.listen-address={address}"]
    return _start("Prometheus", parts.prometheus(), folder, "prometheus.yml", config, files, flags)


def start_alertmanager(folder: Path, config: str, files: dict[str, str]) -> Program:
    """Start Alertmanager, alone and without gossip, with this configuration; `files` are written beside it."""
    flags = ["--config.file={config}", "--storage.path={data}", "--web.listen-address={address}"]
    flags.append("--cluster.listen-address=")
    return _start("Alertmanager", parts.alertmanager(), folder, "alertmanager.yml", config, files, flags)


def _start(
    name: str,
    program: Path | None,
    folder: Path,
    config_name: str,
    config: str,
    files: dict[str, str],
    flags: list[str],
) -> Program:
    assert program is not None, f"{name} is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in {config_name: config, **files}.items():
        (folder / file).write_text(text, encoding="utf-8")
    address = f"{LOOPBACK}:{free_port()}"
    places = {"config": folder / config_name, "data": folder / "data", "address": address}
    command = [str(program), *(flag.format(**places) for flag in flags)]
    running = Program(f"http://{address}", folder, Daemon(name, command, folder / "program.log"))
    running.daemon.start(lambda: _ready(running.url))
    return running


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
