"""README and documentation: each command and snippet runs as it is written, or is listed with a reason."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scenes

import steadyface
from steadyface.cli import app, main
from steadyface.demo import portrait
from steadyface.images import write_image
from steadyface.markup import COUNT
from steadyface.measures import MEAN_FACE
from steadyface.models import FINDER, model_path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

NOT_RUN = {
    "installs, from the net": ("pip install", "pip uninstall"),
    "is what runs this test, or takes minutes": ("make demo", "make test", "make browser"),
    "serves until Ctrl-C: test_live.py, test_browser_page.py": (
        "steadyface live",
        "node browser/example/serve.js",
    ),
    "serves until Ctrl-C: test_editor.py": ("steadyface correct steadyface-out/clip.npz clip.mp4\n",),
    "needs a camera or a network": ("steadyface track rtsp:", "steadyface track 0"),
    "needs a shell and FFmpeg: test_cli.py": ("ffmpeg",),
    "needs Blender: test_examples.py": ("blender",),
    "needs a file that a browser saves: test_correction.py": (
        "steadyface correct steadyface-out/clip.npz clip.mp4 --corrections",
    ),
    "starts Ray: test_corpus.py": ("steadyface corpus",),
    "needs data sets and minutes: test_cli_evaluation.py": (
        "steadyface evaluate",
        "steadyface predict",
        "steadyface score",
        "steadyface evaluate-report",
        "steadyface make-sequences",
        "steadyface label",
        "python benchmarks/",
        "python tools/gpu_training.py",
    ),
    "needs data sets and hours: test_fitting.py, test_training.py": (
        "steadyface fit-stabilizer",
        "steadyface fit-picture",
        "steadyface fit-uncertainty",
        "steadyface train",
        "steadyface track clip.mp4 --weights mine.onnx",
    ),
    "needs trained weights or training images: test_export.py": (
        "steadyface export build/",
        "steadyface export told",
        "steadyface export checkpoints/",
        "steadyface export tiny --out tiny8.onnx",
    ),
}
"""Beginnings of commands, or whole ones, that are not run; those of steadyface are parsed all the same."""

CAMERA = """%YAML:1.0
---
image_width: 480
image_height: 270
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 480., 0., 239.5, 0., 480., 134.5, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ 0.1, 0., 0., 0., 0. ]
"""

DEEPLABCUT = """scorer,net,net,net,net,net,net
bodyparts,nose,nose,nose,chin,chin,chin
coords,x,y,likelihood,x,y,likelihood
0,10.5,20.5,0.99,11.5,40.5,0.98
1,10.7,20.4,0.99,11.4,40.1,0.30
2,10.6,20.6,0.99,11.6,40.2,0.97
"""
"""Two points in three frames, as DeepLabCut writes them."""

NOT_CODE = {"text": "output or a layout", "bibtex": "a reference"}
OTHER_CODE = {"js": "test_browser_page.py runs it", "cpp": "needs a compiler and ONNX Runtime's headers"}


_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """Fenced block of a page: its language, text and first line in the page."""

    page: Path
    language: str
    text: str
    line: int

    def commands(self) -> list[list[str]]:
        """Words of each command of a shell block; comments are left out, continued lines joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        words = (shlex.split(line, comments=True) for line in lines)
        return [command for command in words if command]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Block(page, match[1], match[2], text.count("\n", 0, match.start()) + 2)


CORRECTIONS = '{"corrections": [{"frame": 3, "face": 0, "point": 36, "x": 412.5, "y": 303.0}]}'
"""As a report's page saves them."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the files that the pages name."""
    folder = tmp_path_factory.mktemp("docs")
    clip = scenes.write_clip(folder / "clip.mp4", scenes.frames(5))
    for name in ("talk.mp4", "meeting.mp4", "-lead.mp4"):
        shutil.copy(clip, folder / name)
    for path in ("photo.jpg", "face.jpg", "photos/1.jpg", "photos/2.jpg", "people/anna.jpg"):
        (folder / path).parent.mkdir(exist_ok=True)
        write_image(folder / path, portrait().still)
    pillow = pytest.importorskip("PIL.Image")
    pytest.importorskip("pillow_heif").register_heif_opener()
    pillow.fromarray(portrait().still).save(folder / "IMG_2041.HEIC")
    shutil.copy(model_path("compact"), folder / "compact.onnx")
    shutil.copy(model_path(FINDER), folder / "finder.onnx")
    tracks = steadyface.track(clip)
    tracks.save(folder / "clip.csv")
    tracks.save(folder / "openface.csv", format="openface")
    (folder / "clipDLC.csv").write_text(DEEPLABCUT)
    (folder / "camera.yml").write_text(CAMERA)
    (folder / "clip.mp4.corrections.json").write_text(CORRECTIONS)
    (folder / "tables").mkdir()
    pandas = pytest.importorskip("pandas")
    manifest = pandas.DataFrame({"input": ["a.mp4"], "status": ["done"], "error": [""]})
    manifest.to_parquet(folder / "tables" / "manifest.parquet")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(prepared, tmp_path / "place", symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def stand_ins() -> dict[str, Any]:
    """Names that a reader of the pages fills in with things of their own."""
    images = [np.array(image) for image in scenes.frames(4)]
    points = np.tile(MEAN_FACE[:, :2] + 100, (5, 1, 1))
    heatmaps = steadyface.heatmap.encode(np.full((2, COUNT, 2), 20.0), (64, 64), sigma=2.0)
    box = [float(edge) for edge in steadyface.detect(portrait().still)[0].box]
    return {
        **{"image": images[0], "other_image": images[1], "images": images, "frames": images},
        "my_frames": [(image, i / 25) for i, image in enumerate(images)],
        **{"points": points, "seconds": np.arange(5) / 25, "scores": np.ones((5, COUNT))},
        **{"heatmaps": heatmaps, "model": lambda images: heatmaps, "draw": lambda face, points: None},
        "my_network": lambda crops: (
            np.tile(MEAN_FACE[:, :2] * 0.6 + 56, (len(crops), 1, 1)),
            np.full((len(crops), COUNT), 0.99),
        ),
        **dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)),
    }


def as_line(command: list[str]) -> str:
    return f"{' '.join(command)}\n"


def reason(command: list[str]) -> str | None:
    """Reason why a command is not run."""
    return next((why for why, starts in NOT_RUN.items() if as_line(command).startswith(starts)), None)


def run(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command in this process; it has to end well."""
    if command[0] == "steadyface":
        with pytest.raises(SystemExit) as left:
            main(command[1:])
        assert left.value.code == 0, command
        return
    assert command[0] == "python", f"{' '.join(command)}: neither run here nor listed in NOT_RUN"
    monkeypatch.setattr(sys, "argv", command[1:])
    runpy.run_path(command[1], run_name="__main__")


def check(command: list[str]) -> None:
    """Check what can be checked of a command without running it."""
    if command[0] == "steadyface":
        app.parse_args(command[1:], exit_on_error=False, print_error=False)
    if command[:2] == ["pip", "install"] and "steadyface" not in command[2]:
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        [extras] = re.findall(r"^(?:\.(?:\[(.*)\])?|onnxruntime-gpu\[cuda,cudnn\])$", command[2]) or [None]
        assert extras is not None, f"{command[2]}: pip would look for it elsewhere"
        assert not extras or set(extras.split(",")) <= set(known), command


def run_block(block: Block, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if block.language == "sh":
        for command in block.commands():
            if reason(command) is None:
                run(command, monkeypatch)
            else:
                check(command)
    elif block.language == "python":
        source = "\n" * (block.line - 1) + block.text
        exec(compile(source, str(block.page), "exec"), names)
    else:
        known = NOT_CODE | OTHER_CODE
        assert block.language in known, f"{block.page.name}:{block.line}: a block without a known language"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_runs_as_it_is_written(page: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = stand_ins() if any(block.language == "python" for block in blocks(page)) else {}
    for block in blocks(page):
        run_block(block, names, monkeypatch)


def test_what_is_not_run_is_still_there() -> None:
    commands = [
        command
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh"
        for command in block.commands()
    ]
    for starts in NOT_RUN.values():
        for start in starts:
            assert any(as_line(command).startswith(start) for command in commands), start


@pytest.mark.parametrize("bad", ["cat clip.mp4", "steadyface track clip.mp4 --no-such", "steadyface nothing"])
def test_a_command_that_is_wrong_is_noticed(bad: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        run_block(Block(Path("new.md"), "sh", bad, 1), {}, monkeypatch)


def test_the_index_has_every_public_name() -> None:
    index = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert index.startswith("Index")
    named = set(re.findall(r"\w+", index))
    assert set(steadyface.__all__) - {"__version__"} <= named


def test_names_of_the_pages_need_one_import() -> None:
    """Names below `steadyface` in running text, in a process that has imported nothing else."""
    pages = {page.name: _FENCE.sub("", page.read_text(encoding="utf-8")) for page in PAGES}
    named = {name for text in pages.values() for name in re.findall(r"`(steadyface(?:\.\w+)+)[`(]", text)}
    assert {"steadyface.markup.NAMES", "steadyface.measures.MEAN_FACE"} <= named
    names = sorted(named - {"steadyface.landmarks", "steadyface.finder"})  # kinds of exported files
    script = "\n".join(["import steadyface", *names])
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_chart_shows_the_figures_of_the_page() -> None:
    """After a change of the tables, `python tools/evaluation_chart.py` draws it again."""
    tool = runpy.run_path(str(ROOT / "tools" / "evaluation_chart.py"))
    with pytest.importorskip("PIL.Image").open(tool["CHART"]) as chart:
        drawn = json.loads(chart.text[tool["KEY"]])
    assert drawn == tool["figures"](tool["PAGE"].read_text(encoding="utf-8"))
