"""Crops are steady, of a fixed size, and their maps lead back to the source."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scenes

from steadyface import markup
from steadyface.cli import main
from steadyface.clips import CROPS, crop_of
from steadyface.errors import ConfigError
from steadyface.geometry import Affine
from steadyface.measures import MEAN_FACE
from steadyface.pipeline import TrackingOptions
from steadyface.tracks import Tracks
from steadyface.video import VideoReader

COUNT = 8


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("crops") / "talk.mp4", scenes.frames(COUNT))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


def similarity(scale: float, roll: float, x: float, y: float) -> Affine:
    cos, sin = scale * np.cos(roll), scale * np.sin(roll)
    return Affine(np.array([[cos, -sin, x], [sin, cos, y]]))


@pytest.mark.parametrize("kind", CROPS)
def test_shift_roll_and_zoom_leave_the_crop_as_it_is(kind: str) -> None:
    size = CROPS[kind].size
    points = MEAN_FACE[:, :2]
    still = crop_of(points, kind).to_crop(size)(points)
    moved = similarity(2.3, 0.4, 300.0, -20.0)(points)
    np.testing.assert_allclose(crop_of(moved, kind).to_crop(size)(moved), still, atol=1e-9)
    shown = still if kind == "face" else still[48:]
    assert (shown > 0).all()
    assert (shown < size - 1).all()


def test_an_opening_mouth_moves_no_face() -> None:
    points = MEAN_FACE[:, :2] * 2 + 200
    opened = points + 30 * np.outer(np.abs(markup.JAW_DROP) > 0.1, [0, 1])
    assert crop_of(opened, "face") == crop_of(points, "face")
    wide = crop_of(opened, "mouth")
    assert (wide.side, wide.roll) == (crop_of(points, "mouth").side, crop_of(points, "mouth").roll)


@pytest.mark.parametrize("kind", CROPS)
def test_each_face_is_a_video_with_a_map_for_each_frame(clip: Path, tmp_path: Path, kind: str) -> None:
    options = ["--weights", "tiny", "--no-overlay", "--crops", kind]
    assert run("track", clip, "--out", tmp_path, *options) == 0
    tracks = Tracks.load(tmp_path / "talk.npz")
    folder = tmp_path / f"talk.{kind}-crops"
    assert sorted(path.name for path in folder.iterdir()) == ["face0.mp4", "face0.npz"]
    assert f"talk.{kind}-crops" in (tmp_path / "talk.meta.json").read_text()
    with np.load(folder / "face0.npz") as maps:
        assert maps["frame"].tolist() == list(range(COUNT))
        np.testing.assert_allclose(maps["seconds"], np.arange(COUNT) / scenes.FPS)
        for to_crop, points, seen in zip(maps["to_crop"], maps["points"], tracks.points, strict=True):
            np.testing.assert_allclose(Affine(to_crop)(seen.astype(float)), points, atol=1e-3)
        still = np.ptp(maps["points"][:, 27], axis=0)  # the bridge of the nose
    moved = np.ptp(tracks.points[:, 27], axis=0)
    assert still.max() < max(0.5, 0.3 * moved.max())
    with VideoReader(folder / "face0.mp4") as video:
        images = [frame.image for frame in video]
    assert [image.shape for image in images] == [(CROPS[kind].size, CROPS[kind].size, 3)] * COUNT
    assert images[0].std() > 10  # not black


def test_a_resumed_run_wants_the_crops_of_its_kind(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", tmp_path, "--weights", "tiny", "--no-overlay", "--resume"]
    for crops, whole in (
        (["--crops", "mouth"], False),
        (["--crops", "mouth"], True),
        (["--crops", "face"], False),
    ):
        assert run("track", clip, *options, *crops) == 0
        assert ("whole already" in capsys.readouterr().out) == whole


def test_other_kinds_and_photographs_are_one_line(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("track", clip, "--out", tmp_path, "--crops", "ear") == 1
    assert "unknown kind of crop 'ear'; choose one of: face, mouth" in capsys.readouterr().err
    options = ["--weights", "tiny", "--no-overlay", "--independent", "--crops", "face"]
    assert run("track", clip, "--out", tmp_path, *options) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "no crops, since photographs have no identities" in line
    assert (tmp_path / "talk.npz").exists()


def test_a_corpus_cuts_the_same(clip: Path, tmp_path: Path) -> None:
    work = pytest.importorskip("steadyface.corpus.work")
    options = TrackingOptions(weights="tiny", threads=1)
    worker = work.Worker(options, tmp_path / "out", tmp_path / "scratch", crops="mouth")
    entry = json.loads(worker({"input": str(clip), "output": "a/talk.parquet"})["entry"])
    assert entry["status"] == "done"
    folder = tmp_path / "out" / "a" / "talk.mouth-crops"
    assert sorted(path.name for path in folder.iterdir()) == ["face0.mp4", "face0.npz"]
    asked = work.options_key(options, "mouth")
    out = tmp_path / "out"
    assert work.recorded(str(clip), "a/talk.parquet", out, asked) is not None
    assert work.recorded(str(clip), "a/talk.parquet", out, work.options_key(options, "face")) is None
    assert asked == work.options_key(replace(options, threads=2), "mouth")


def test_a_corpus_refuses_other_kinds(tmp_path: Path, clip: Path) -> None:
    corpus = pytest.importorskip("steadyface.corpus")
    with pytest.raises(ConfigError, match="unknown kind of crop 'ear'"):
        corpus.track_corpus([str(clip)], tmp_path / "out", crops="ear")
