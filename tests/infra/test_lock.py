"""What is installed: just what the lock files name, checked by hash, under licences that are allowed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.parts.licences import Allowed, check, check_all

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "deploy" / "locks"
UV = Path(sys.executable).with_name("uv")
NAMES = ("dev", "run", "build", "uv", "yardsticks")
Pin = tuple[Requirement, list[str]]


def read(lock: str) -> list[Pin]:
    """The pins of a lock file with their hashes."""
    pins: list[Pin] = []
    for line in (LOCKS / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        words, *hashes = line.split(" --hash=")
        pins.append((Requirement(words.strip()), [told.strip() for told in hashes]))
    return pins


def here(lock: str) -> dict[str, str]:
    """The versions that a lock has for this interpreter, by canonical name."""
    environment = {k: str(v) for k, v in default_environment().items()}
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin, _ in read(lock)
        if pin.marker is None or pin.marker.evaluate(environment)
    }


def asked(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, with these extras and those that they name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = [Requirement(text) for text in project["dependencies"]]
    waiting = list(extras)
    while waiting:
        for text in project["optional-dependencies"][waiting.pop()]:
            requirement = Requirement(text)
            if requirement.name == "guanlan":
                waiting.extend(requirement.extras)
            else:
                found.append(requirement)
    return [r for r in found if r.marker is None or r.marker.evaluate()]


@pytest.mark.parametrize("name", NAMES)
def test_every_pin_has_hashes_and_no_address(name: str) -> None:
    """A lock works with any index that serves the same files."""
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    for pin, hashes in read(name):
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", told) for told in hashes), pin


@pytest.mark.parametrize(
    ("lock", "extras"), [("dev", ["dev"]), ("run", ["fast"]), ("yardsticks", ["yardsticks"])], ids=str
)
def test_a_lock_holds_what_the_project_asks_for(lock: str, extras: list[str]) -> None:
    """An edit of pyproject.toml without `make lock` is seen here, without a network."""
    pinned = here(lock)
    for requirement in asked(*extras):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{requirement} is not in {lock}.txt; run make lock"
        assert requirement.specifier.contains(pinned[name], prereleases=True), f"{requirement}, {pinned[name]}"


@pytest.mark.parametrize("part", ["run", "build", "uv"])
def test_the_image_has_the_versions_that_were_tested(part: str) -> None:
    """The other locks are parts of dev, also for interpreters that are not here."""
    tested = {(pin.name, str(pin.specifier), str(pin.marker)) for pin, _ in read("dev")}
    known = {(name, version) for name, version, _ in tested}
    assert {(pin.name, str(pin.specifier)) for pin, _ in read(part)} <= known


def test_what_the_benchmark_compares_with_does_not_lower_our_clients() -> None:
    """Quix Streams asks for an older confluent-kafka: in its own environment only."""
    ours, theirs = here("dev"), here("yardsticks")
    assert {"quixstreams", "bytewax"} <= theirs.keys() - ours.keys()
    assert tuple(map(int, ours["confluent-kafka"].split("."))) > tuple(map(int, theirs["confluent-kafka"].split(".")))


def test_this_environment_is_the_lock() -> None:
    """Tests say something about the lock only if they run on it."""
    if "GUANLAN_LATEST" in os.environ:
        pytest.skip("this run is against the newest versions")
    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in distributions()}
    pinned = here("dev")
    assert {name: installed.get(name) for name in pinned} == pinned


def wheel(folder: Path) -> Path:
    """A wheel of nothing."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    meta = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            f"{meta}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{meta}/RECORD", "tiny.py,,\n")
    return path


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    """`make venv` installs nothing whose hash is not the locked one, and says so."""
    made = wheel(tmp_path)
    (tmp_path / "deploy").mkdir()
    shutil.copytree(
        ROOT / "deploy" / "parts", tmp_path / "deploy" / "parts", ignore=shutil.ignore_patterns("__pycache__")
    )
    lock = tmp_path / "lock.txt"
    script = tmp_path / "deploy" / "parts" / "venv.sh"
    said = {}
    for name, digest in (("wrong", "0" * 64), ("right", hashlib.sha256(made.read_bytes()).hexdigest())):
        lock.write_text(f"tiny==1.0 --hash=sha256:{digest}\n", encoding="utf-8")
        said[name] = subprocess.run(
            [script, tmp_path / name, lock],
            env={
                **os.environ,
                "UV": str(UV),
                "UV_NO_INDEX": "1",
                "UV_FIND_LINKS": str(tmp_path),
                "PYTHON": sys.executable,
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert said["wrong"].returncode == 2
    assert "mismatch" in said["wrong"].stderr.lower()
    assert "could not be installed as it stands" in said["wrong"].stderr
    assert not list((tmp_path / "wrong").rglob("tiny*"))
    # the folder has no pyproject.toml, so only the last step fails here
    assert list((tmp_path / "right").rglob("tiny.py"))
    assert "Guanlan itself" in said["right"].stderr


def test_every_licence_is_allowed() -> None:
    """What is installed for tests contains what users install."""
    assert [f"{f.name}: {f.wrong}" for f in check_all(distributions(), Allowed.read()) if f.wrong] == []


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ("License-Expression: MIT", ""),
        ("License-Expression: GPL-3.0-only OR MIT", ""),
        ("License-Expression: GPL-3.0-only AND MIT", "GPL-3.0-only is not on the list"),
        ("Classifier: License :: OSI Approved :: BSD License", ""),
        ("License: proprietary", "is no SPDX expression"),
        ("Summary: says nothing", "names no licence"),
    ],
)
def test_a_licence_that_is_not_on_the_list_is_refused(tmp_path: Path, header: str, wrong: str) -> None:
    """One of several offered is enough; of several that hold together each must be allowed."""
    folder = tmp_path / "other-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: other\nVersion: 1\n{header}\n", encoding="utf-8")
    found = check(Distribution.at(folder), Allowed.read())
    assert found.wrong.startswith(wrong) if wrong else not found.wrong
