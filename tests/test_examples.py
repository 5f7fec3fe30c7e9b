"""The examples do what they say, on a clip of the portrait."""

from __future__ import annotations

import importlib.util
import json
import runpy
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scenes

import steadyface
from steadyface import heatmap, markup
from steadyface.tracks import Tracks
from steadyface.video import VideoReader

FOLDER = Path(__file__).parents[1] / "examples"
COUNT = 8


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write_clip(tmp_path_factory.mktemp("examples") / "portrait.mp4", scenes.frames(COUNT))


@pytest.fixture(scope="module")
def tracks(clip: Path) -> Tracks:
    return steadyface.track(clip)


def test_lipstick_colours_the_lips_alone(clip: Path, tracks: Tracks, tmp_path: Path) -> None:
    example("lipstick").main(str(clip), str(tmp_path / "out.mp4"), "ff0000")
    with VideoReader(clip) as plain, VideoReader(tmp_path / "out.mp4") as painted:
        pairs = [(a.image.astype(int), b.image.astype(int)) for a, b in zip(plain, painted, strict=True)]
    assert len(pairs) == COUNT
    before, after = pairs[-1]
    x, y = np.round(tracks.points[-1][list(markup.GROUPS["outer_lips"])[9]]).astype(int)
    lips = after[y - 2, x] - before[y - 2, x]  # inside the lower lip
    assert lips[0] - lips[1] > 15
    x, y = np.round(tracks.points[-1][markup.GROUPS["nose_bridge"][0]]).astype(int)
    assert np.abs(after[y, x] - before[y, x]).max() < 12  # what compression changes


@pytest.mark.parametrize(
    ("name", "others"),
    [("lipstick", ["out.mp4"]), ("blink_rate", []), ("mouth_crops", ["out"]), ("blender_export", ["out.py"])],
)
def test_wrong_arguments_are_one_line_or_the_help(
    name: str, others: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, told in (([], f"python examples/{name}.py"), (["none.json", *others], "No such file")):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit, match=told) as left:
            runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        assert ("\n" in str(left.value)) == (not arguments)


def test_lipstick_needs_a_colour(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="six hexadecimal digits such as b01030, got 'red'"):
        example("lipstick").main(str(clip), str(tmp_path / "out.mp4"), "red")


def test_lipstick_does_not_paint_over_its_clip(clip: Path) -> None:
    before = clip.read_bytes()
    with pytest.raises(SystemExit, match="is the clip itself"):
        example("lipstick").main(str(clip), str(clip.parent / ".." / clip.parent.name / clip.name))
    assert clip.read_bytes() == before


def test_blink_rate_counts_what_was_put_in(
    tracks: Tracks, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Three blinks of 0.2 s in ten seconds of an otherwise motionless face."""
    seconds = np.arange(250) / 25
    raw = np.repeat(tracks.raw_points[:1], len(seconds), axis=0)
    for moment in (2.0, 5.0, 8.0):
        closing = np.clip(1 - np.abs(seconds - moment) / 0.1, 0, 1)[:, None]
        for eye in ("right_eye", "left_eye"):
            upper, lower = markup.facing(eye)
            gap = raw[:, lower] - raw[:, upper]
            raw[:, upper] += 0.9 * closing[..., None] * gap
    columns = {
        name: np.repeat(getattr(tracks, name)[:1], len(seconds), axis=0)
        for name in ("points", "scores", "box")
    }
    still = Tracks(
        frame=np.arange(len(seconds)),
        seconds=seconds,
        face=np.zeros(len(seconds), int),
        raw_points=raw,
        held=np.zeros(len(seconds), bool),
        visible=np.ones((len(seconds), 68)),
        covariances=np.tile(np.eye(2), (len(seconds), 68, 1, 1)),
        meta=tracks.meta,
        **columns,
    )
    example("blink_rate").main(str(still.save(tmp_path / "blinks.npz")))
    first, *rows = capsys.readouterr().out.splitlines()
    assert first == "face 0: 3 blinks in 10.0 s, 18.0 a minute"
    assert [round(float(row.split()[0])) for row in rows] == [2, 5, 8]


def test_mouth_crops_hold_the_mouth(clip: Path, tmp_path: Path) -> None:
    crops = example("mouth_crops")
    crops.main(str(clip), str(tmp_path))
    with np.load(tmp_path / "portrait_face0.npz") as file:
        assert file["crops"].shape == (COUNT, crops.SIZE, crops.SIZE, 3)
        points = file["points"]
    np.testing.assert_allclose(points.mean(axis=1), (crops.SIZE - 1) / 2, atol=1e-6)
    assert (points > 0).all()
    assert (points < crops.SIZE - 1).all()


def test_blender_gets_the_points_back(tracks: Tracks, tmp_path: Path) -> None:
    """Place + turned points are the tracked ones; the script is Python."""
    path = tracks.save(tmp_path / "portrait.json")
    blender = example("blender_export")
    blender.main(str(path), str(tmp_path / "out.py"))
    text = (tmp_path / "out.py").read_text()
    compile(text, "out.py", "exec")
    data = json.loads(text.split("DATA = ", 1)[1].split("\n", 1)[0])
    local, roll = np.array(data["points"]), np.array(data["roll"])[:, None]
    x, z = local[..., 0], local[..., 2]
    turned = np.stack([x * np.cos(roll) + z * np.sin(roll), z * np.cos(roll) - x * np.sin(roll)], axis=-1)
    seen = turned + np.array(data["place"])[:, None, [0, 2]]
    unit = np.median(np.linalg.norm(tracks.points[:, 45] - tracks.points[:, 36], axis=-1))
    np.testing.assert_allclose(seen * unit * [1, -1], tracks.points, atol=0.01)  # px: rounded to 1e-5 units
    with pytest.raises(steadyface.ConfigError, match="face 7"):
        blender.main(str(path), str(tmp_path / "none.py"), "7")


def test_pose_heatmaps_rank_the_decoders(capsys: pytest.CaptureFixture) -> None:
    example("pose_heatmaps").main(20)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    table = {row[0]: [float(value) for value in row[1:]] for row in rows if row[0] in heatmap.METHODS}
    assert set(table) == set(heatmap.METHODS)
    assert table["fhr"][0] < 1e-4 < table["quarter"][0] < table["argmax"][0]
    assert table["dark"][1] < table["fhr"][1]  # white noise
    assert table["fhr_symmetric"][4] < table["dark"][4]  # noise correlated over the Gaussian's width
