"""A signal at any moment loses nothing that was tracked, and a kill leaves nothing half under a final name.

With STEADYFACE_LONG=10 in the environment there are ten times as many moments.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import scenes
import signalled

from steadyface.cli import main
from steadyface.tracks import COLUMNS, Tracks
from steadyface.video import VideoReader
from steadyface.wording import counted

LONG = int(os.environ.get("STEADYFACE_LONG", "1"))
FRAMES = 24

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", scenes.frames(12) * 2)


def names_in(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


def frames_in(path: Path) -> int:
    with VideoReader(path) as frames:
        count = len(list(frames))
        assert frames.damage is None
    return count


def assert_same_rows(path: Path, whole: Tracks, rows: int) -> None:
    tracks = Tracks.load(path)
    assert len(tracks) == rows
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(tracks, name), getattr(whole, name)[:rows])


def test_a_signal_keeps_every_tracked_frame(clip: Path, tmp_path: Path) -> None:
    names = ["SIGTERM", "SIGHUP", "SIGINT"] * (2 * LONG)
    unbroken, *runs = signalled.run_signalled(clip, tmp_path, 20, names)
    whole = Tracks.load(Path(unbroken.out) / "clip.npz")
    assert (unbroken.code, len(whole)) == (0, FRAMES)
    for run in runs:
        out, lines = Path(run.out), run.said.splitlines()
        if not names_in(out):  # before the first frame
            assert lines in ([], ["steadyface: interrupted"], [f"steadyface: interrupted in {clip}"])
            continue
        assert names_in(out) == {"clip.npz", "clip.csv", "clip.meta.json", "clip.overlay.mp4"}, run
        frames = frames_in(out / "clip.overlay.mp4")
        assert_same_rows(out / "clip.npz", whole, frames)
        assert_same_rows(out / "clip.csv", whole, frames)
        if run.code == 0 or not lines:  # the signal came when all was done
            assert frames == FRAMES, run
        else:
            assert (run.code, len(lines), 0 < frames <= FRAMES) == (1, 1, True), run
            verb = "is" if frames == 1 else "are"
            assert f"the first {counted(frames, 'frame')} {verb} kept" in lines[0]


def test_a_kill_leaves_whole_files_only(clip: Path, tmp_path: Path) -> None:
    unbroken, *runs = signalled.run_signalled(clip, tmp_path, 5, ["SIGKILL"] * (4 * LONG))
    whole = Tracks.load(Path(unbroken.out) / "clip.npz")
    assert any(".part" in name for run in runs for name in names_in(Path(run.out)))
    for run in runs:
        out = Path(run.out)
        assert run.code in (0, -signal.SIGKILL)
        final = {name for name in names_in(out) if ".part" not in name}
        for name in final & {"clip.npz", "clip.csv"}:
            assert_same_rows(out / name, whole, FRAMES)
        if "clip.overlay.mp4" in final:
            assert frames_in(out / "clip.overlay.mp4") == FRAMES


def test_the_next_run_clears_up(clip: Path, tmp_path: Path) -> None:
    mine, others = ("clip.csv.part", "clip.overlay.part.mp4", "clip.pts.part/0.pts"), ("clip2.npz.part",)
    for name in (*mine, *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    with pytest.raises(SystemExit) as left:
        main(["track", str(clip), "--out", str(tmp_path), "--no-overlay", "--quiet", "--weights", "tiny"])
    assert not left.value.code
    assert names_in(tmp_path) == {"clip.npz", "clip.meta.json", *others}
