"""`guanlan worker` on the command line: what is wrong is one sentence and an exit code, and Ctrl-C ends it in order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from streams.daemon import free_port
from tests.worker.field import PACK, Field, load, wait_until


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "guanlan.cli", "worker", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "COLUMNS": "400", **environment},
    )


def files(folder: Path, pack: str = PACK) -> list[str]:
    """Write a pack and its catalogue; return the options that name them."""
    wide, _ = load(1, 1)
    (folder / "wide.yaml").write_text(wide.catalogue, encoding="utf-8")
    (folder / "field.yaml").write_text(pack, encoding="utf-8")
    return ["--pack", "field.yaml", "--catalogue", "wide.yaml"]


@pytest.mark.needs("kafka")
def test_without_packs_it_says_how_to_give_one(field: Field) -> None:
    """Neither the settings nor the topic `rules` have any."""
    field.prepare([])
    here = {"GUANLAN_BOOTSTRAP": field.bootstrap, "GUANLAN_TOPIC_PREFIX": field.prefix}
    done = run(folder=field.folder, GUANLAN_PACKS="", **here)
    assert done.returncode == 2
    assert "--pack" in done.stderr
    assert "guanlan rules publish" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_problem_of_a_pack_is_shown(tmp_path: Path) -> None:
    """Both unknown names are reported, each at its line."""
    wrong = PACK.replace("x0000 > 1.05", "y0000 > 1.05").replace("x0003 > 1.03", "y0003 > 1.03")
    done = run(*files(tmp_path, wrong), folder=tmp_path)
    assert done.returncode == 1
    assert "y0000" in done.stderr
    assert "y0003" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broker_that_does_not_answer_is_exit_code_3(tmp_path: Path) -> None:
    """The sentence names the address."""
    address = f"127.0.0.1:{free_port()}"
    done = run(*files(tmp_path), "--bootstrap", address, folder=tmp_path)
    assert done.returncode == 3
    assert address in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.needs("kafka")
def test_missing_topics_are_named_with_the_command(field: Field) -> None:
    """Nothing is created by a worker but its own changelogs."""
    done = run(
        *files(field.folder),
        folder=field.folder,
        GUANLAN_BOOTSTRAP=field.bootstrap,
        GUANLAN_TOPIC_PREFIX=field.prefix,
    )
    assert done.returncode == 2
    assert f"{field.prefix}filings" in done.stderr
    assert "guanlan topics create" in done.stderr


@pytest.mark.needs("kafka")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_worker_in_order(field: Field, number: signal.Signals) -> None:
    """Exit code 0, and everything that was judged is committed."""
    wide, records = load(institutions=5, filings=200)
    field.prepare(wide.institutions)
    worker = field.start_worker(wide)
    (address,) = re.findall(r"http://\S+/metrics", worker.log.read_text(encoding="utf-8"))
    field.send(records)
    judged = f'guanlan_filings_accepted_total{{form="wide.d"}} {len(records):.1f}'
    wait_until(lambda: judged in httpx.get(address).text)
    os.kill(worker.pid, number)
    assert worker.wait() == 0
    assert field.caught_up()


@pytest.mark.needs("kafka")
@pytest.mark.parametrize("moment", ["metrics on", "joining group"])
def test_a_signal_while_starting_ends_it_too(field: Field, moment: str) -> None:
    """Before it has any partition a worker ends as cleanly as later."""
    wide, _ = load(institutions=5, filings=1)
    field.prepare(wide.institutions)
    worker = field.start_worker(wide, until=moment)
    os.kill(worker.pid, signal.SIGINT)
    assert worker.wait() == 0
    assert "Traceback" not in worker.log.read_text(encoding="utf-8")
