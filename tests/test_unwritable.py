"""A place that cannot be written is one line and exit code 1, whichever command is sent there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scenes

from steadyface.cli import main
from steadyface.fitting.fit import Pair
from steadyface.fitting.sequences import save_pair
from steadyface.images import write_image
from steadyface.pts import write_pts
from steadyface.tracks import TracksBuilder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A folder of one annotated face."""
    folder = tmp_path / "photo"
    folder.mkdir()
    write_image(folder / "face.png", next(iter(scenes.frames(1))))
    write_pts(folder / "face.pts", np.random.default_rng(0).uniform(100, 200, (68, 2)))
    return folder


def sequences(folder: Path) -> Path:
    points = np.random.default_rng(0).uniform(0, 100, (100, 68, 2))
    save_pair(Pair(points, points, None, 30.0), folder / "still_a_0.npz")
    return folder


TINY = Path(__file__).parents[1] / "checkpoints" / "tiny.safetensors"

Arguments = Callable[[Path], list[object]]
COMMANDS: dict[str, Arguments] = {
    "track": lambda photo: [photo / "face.png"],
    "fit-uncertainty": lambda photo: [TINY, "--data", photo],
    "label": lambda photo: [photo / "face.png"],
    "train": lambda photo: ["smoke", "--data", photo],
    "make-sequences": lambda photo: [photo / "face.png"],
    "fit-stabilizer": lambda photo: ["--sequences", sequences(photo)],
    "fit-picture": lambda photo: ["--sequences", sequences(photo)],
    "export": lambda photo: ["tiny-float32"],
    "predict": lambda photo: ["folder", "--data", photo],
    "evaluate": lambda photo: ["folder", "--data", photo],
    "report": lambda photo: [TracksBuilder().finish({}).save(photo / "tracks.npz")],
    "stabilize": lambda photo: [TracksBuilder().finish({}).save(photo / "tracks.npz")],
    "demo": lambda photo: [],
    "corpus": lambda photo: [scenes.write_clip(photo / "clip.mp4", scenes.frames(2))],
}
SUFFIX = {"fit-stabilizer": ".json", "fit-picture": ".json", "export": ".onnx", "stabilize": ".npz"}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_out_below_a_file_is_one_line(
    command: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / f"out{SUFFIX.get(command, '')}"
    arguments = [command, *COMMANDS[command](photo), "--out", out]
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    lines = capsys.readouterr().err.splitlines()
    assert left.value.code == 1
    assert [line for line in lines if str(out) in line] == lines
    assert len(lines) == 1
