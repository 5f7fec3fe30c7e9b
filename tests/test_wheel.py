"""The wheel holds the whole package, and its types reach those who install it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

REPOSITORY = Path(__file__).parent.parent
MARKER = "py.typed"

PROGRAM = """
import steadyface
from steadyface import TrackedFace, Tracker, Tracks


def shaking(path: str) -> float:
    tracker = Tracker(stabilizer="none")
    faces: list[TrackedFace] = tracker.step(None)
    tracks: Tracks = steadyface.track(path)
    return tracks.jitter() + faces[0].face_id
"""


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel alone: numpy's types would take mypy ten times as long."""

    python: Path
    package: Path

    def mypy(self, *programs: Path) -> str:
        """Run mypy on programs, as a user would."""
        command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(self.python)]
        cache = ["--cache-dir", str(programs[0].parent / "cache"), "--config-file", ""]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        call = [*command, *cache, *map(str, programs)]
        return subprocess.run(call, capture_output=True, text=True, check=False, env=environment).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    with ZipFile(next(folder.glob("steadyface-*.whl"))) as wheel:
        wheel.extractall(packages)
    return Installed(folder / "venv" / "bin" / "python", packages / "steadyface")


def test_the_wheel_holds_every_file_of_the_package(installed: Installed) -> None:
    source = REPOSITORY / "src" / "steadyface"
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    held = {path.relative_to(installed.package) for path in installed.package.rglob("*") if path.is_file()}
    assert held == {path for path in wanted if path.suffix != ".pyc"}


def test_types_reach_a_user(installed: Installed, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(PROGRAM)
    wrong.write_text(PROGRAM.replace("jitter", "jiter").replace("track(path)", "track(path, lag='two')"))
    found = installed.mypy(right, wrong)
    assert "right.py" not in found
    assert 'wrong.py:9: error: Argument "lag" to "track" has incompatible type "str"' in found
    assert 'wrong.py:10: error: "Tracks" has no attribute "jiter"' in found


def test_without_its_marker_the_package_has_no_types(installed: Installed, tmp_path: Path) -> None:
    program = tmp_path / "right.py"
    program.write_text(PROGRAM)
    marker = (installed.package / MARKER).rename(tmp_path / MARKER)
    try:
        assert MARKER in installed.mypy(program)
    finally:
        marker.rename(installed.package / MARKER)
