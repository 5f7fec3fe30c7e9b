"""tools/gpu_training.py: crops and flaws drawn on a device agree with those that `steadyface train` draws."""

from __future__ import annotations

import importlib.util
import json
import sys
import zlib
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from steadyface import markup
from steadyface.checkpoint import load_network
from steadyface.demo import portrait
from steadyface.geometry import Region, flip_points
from steadyface.images import crop_region, write_image
from steadyface.pts import write_pts

CPU = torch.device("cpu")
SIZE = 224
STILL = portrait().still
POINTS = np.random.default_rng(0).uniform(-60, 60, (markup.COUNT, 2)) + portrait().centre
REGION = Region.around_points(POINTS)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).parents[1] / "tools" / "gpu_training.py"
    spec = importlib.util.spec_from_file_location("gpu_training", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def row(tool: ModuleType) -> object:
    _, data = cv2.imencode(".png", STILL[..., ::-1])
    return tool.Row(data.tobytes(), POINTS.astype(np.float32), (REGION.x, REGION.y, REGION.side))


def test_a_plain_crop_is_that_of_the_networks(tool: ModuleType, row: object) -> None:
    (crops,), points = tool.crop_faces(tool.Faces([row], CPU, 0), torch.tensor([0]), [SIZE], None)
    expected, to_crop = crop_region(STILL, REGION, SIZE)
    assert np.abs(crops[0].permute(1, 2, 0).numpy() - expected).mean() < 1.0
    true = (to_crop(POINTS) + 0.5) / SIZE
    assert points[0].numpy() == pytest.approx(true, abs=1e-4)


def test_a_mirrored_crop_has_mirrored_points(tool: ModuleType, row: object) -> None:
    faces, only = tool.Faces([row], CPU, 0), torch.tensor([0])
    mirrored = tool.Augmentation(scale=0.0, shift=0.0, roll=0.0, flip=1.0)
    (crops,), points = tool.crop_faces(faces, only, [SIZE], mirrored)
    expected, to_crop = crop_region(STILL, REGION, SIZE)
    assert np.abs(crops[0].permute(1, 2, 0).numpy() - expected[:, ::-1]).mean() < 1.0
    true = (flip_points(to_crop(POINTS), SIZE, markup.FLIP) + 0.5) / SIZE
    assert points[0].numpy() == pytest.approx(true, abs=1e-4)


def test_points_follow_the_picture(tool: ModuleType) -> None:
    """A white disc at a point is where the point is said to be, whatever the crop."""
    still = np.zeros_like(STILL)
    chin = POINTS[8]
    cv2.circle(still, (round(chin[0]), round(chin[1])), 3, (255, 255, 255), -1)
    points = np.round(POINTS).astype(np.float32)
    _, data = cv2.imencode(".png", still)
    faces = tool.Faces([tool.Row(data.tobytes(), points, (REGION.x, REGION.y, REGION.side))], CPU, 0)
    torch.manual_seed(0)
    varied = tool.Augmentation(scale=0.1, shift=0.02, roll=20.0, reflect=0.0)
    (crops,), found = tool.crop_faces(faces, torch.zeros(16, dtype=torch.long), [SIZE], varied)
    cells = torch.arange(SIZE) + 0.5
    weights = crops[:, 0] / crops[:, 0].sum((1, 2), keepdim=True)
    middle = torch.stack([(weights.sum(1) * cells).sum(1), (weights.sum(2) * cells).sum(1)], dim=-1) / SIZE
    assert (middle - found[:, 8]).abs().max() * SIZE < 0.5
    assert found[:, 8].std(0).min() * SIZE > 2  # the crops do vary


def test_flaws_are_the_same_at_every_size(tool: ModuleType) -> None:
    crop, _ = crop_region(STILL, REGION, 256)
    large = torch.from_numpy(crop).permute(2, 0, 1)[None].float().repeat(24, 1, 1, 1)
    small = torch.nn.functional.avg_pool2d(large, 2)
    flawed_large, flawed_small = tool.add_flaws([large, small], 0.0, 1.0, np.random.default_rng(1))
    away = (torch.nn.functional.avg_pool2d(flawed_large, 2) - flawed_small).abs().mean(1)
    assert (flawed_small - small).abs().mean((1, 2, 3)).min() > 0.2  # a patch in each
    assert float((away > 40).float().mean()) < 0.03  # noise in patches, and their edges, differ
    assert flawed_small.min() >= 0
    assert flawed_small.max() <= 255


def test_jpeg_of_high_quality_changes_little_and_of_low_much(tool: ModuleType) -> None:
    crop, _ = crop_region(STILL, REGION, SIZE)
    view = torch.from_numpy(crop).permute(2, 0, 1)[None].float().repeat(2, 1, 1, 1)
    fine, coarse = (tool._jpeg(view, torch.tensor([95.0, 10.0])) - view).abs().mean((1, 2, 3))
    _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 10])
    real = np.abs(cv2.imdecode(data, cv2.IMREAD_COLOR).astype(float) - crop).mean()
    assert fine < 1.5
    assert 0.6 * real < coarse < 1.5 * real


def test_the_rate_rises_and_falls(tool: ModuleType) -> None:
    rates = [tool.schedule(passed) for passed in np.linspace(0, 0.999, 50)]
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[0] < 0.05
    assert rates[-1] < 0.01
    assert np.argmax(rates) == 2


def test_a_run_ends_in_time_and_goes_on(
    tool: ModuleType, row: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, out = tmp_path / "pack", tmp_path / "out"
    pack.mkdir()
    for name in ("300w", "300w-held-out"):
        (pack / f"{name}.pkl").write_bytes(tool.pickle.dumps([tuple(row)] * 4))  # type: ignore[call-overload]
    teacher = load_network(Path(__file__).parents[1] / "checkpoints" / "nano.safetensors").eval()
    drawn: list[object] = []

    def run() -> dict[str, dict[str, float]]:
        clock = iter(range(10**6))  # each look at the clock takes a second
        monkeypatch.setattr(tool.time, "monotonic", lambda: next(clock))
        students = [tool.Student("smoke", None, None, 0.5, CPU)]
        monkeypatch.setattr(students[0], "step", lambda *args: drawn.append(args) or torch.tensor(1.0))
        return tool.train(pack, out, students, teacher, 30.0, 4, CPU)

    errors = run()
    steps = len(drawn)
    assert 5 < steps < 30
    assert (out / "smoke.safetensors").is_file()
    assert errors["smoke"].keys() == {"nrmse", "openness"}
    run()
    assert len(drawn) <= steps + 1  # its time was over


def test_sets_that_are_missing_leave_their_share_to_the_others(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, pack = tmp_path / "data", tmp_path / "pack"
    for held_out in (True, False):
        name = next(f"{i}" for i in count() if (zlib.crc32(f"{i}".encode()) % 16 == 0) is held_out)
        (data / "300w" / "afw").mkdir(parents=True, exist_ok=True)
        write_image(data / "300w" / "afw" / f"{name}_1.png", STILL)
        write_pts(data / "300w" / "afw" / f"{name}_1.pts", POINTS)
    (data / "faces").mkdir()
    write_image(data / "faces" / "a.png", STILL)
    face = {"box": [REGION.x - 60, REGION.y - 60, REGION.x + 60, REGION.y + 60], "by": "annotation"}
    (data / "faces" / "faces.json").write_text(json.dumps({"a.png": [face]}))
    monkeypatch.setattr(tool, "_without_faces", partial(_few, tool._without_faces))
    tool.pack(data, pack, None, 0)
    assert {name: len(rows) for name, rows in tool.load_pack(pack).items()} == {
        "300w": 1,
        "300w-held-out": 1,
        "none": 4,
    }
    clock = iter(range(10**6))
    monkeypatch.setattr(tool.time, "monotonic", lambda: next(clock))
    errors = tool.train(
        pack, tmp_path / "out", [tool.Student("smoke", None, None, 0.5, CPU)], None, 5.0, 4, CPU
    )
    assert errors["smoke"].keys() == {"nrmse", "openness"}
    assert tool.Batches(tool.load_pack(pack), [64], 90, CPU).counts == {"300w": 86, "none": 4}


def _few(draw: Callable[[Path, int], list[object]], folder: Path, number: int) -> list[object]:
    return draw(folder, min(number, 4))


@pytest.fixture
def refused(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[object, str]]:
    """Run the command line; returns its exit code and the last line of the error stream."""

    def run(*words: object) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["gpu_training.py", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            tool.main()
        lines = capsys.readouterr().err.splitlines()
        assert left.value.code == 2 or len(lines) == 1
        return left.value.code, lines[-1]

    return run


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--recipes", "smok"), "argument --recipes: invalid choice: 'smok'"),
        (("--recipes", "finder"), "argument --recipes: invalid choice: 'finder'"),
        (("--recipes", "paper"), "argument --recipes: invalid choice: 'paper'"),
        (
            ("--start", "nowhere.safetensors"),
            "'nowhere.safetensors' is not RECIPE=VALUE with a recipe of comp",
        ),
        (("--start", "tiny=nowhere.safetensors"), "--start or --rate of tiny, which --recipes does not name"),
        (("--rate", "smoke=x"), "argument --rate: 'x' is not a positive number"),
        (("--rate", "smok=1"), "'smok=1' is not RECIPE=VALUE"),
        (("--seconds", "0"), "argument --seconds: '0' is not a positive number"),
        (("--seconds", "nan"), "argument --seconds: 'nan' is not a positive number"),
    ],
)
def test_options_that_cannot_be(
    words: tuple[str, ...], problem: str, refused: Callable[..., tuple[object, str]], tmp_path: Path
) -> None:
    given = ("--recipes", "smoke", "--seconds", "3", *words)
    code, line = refused("train", tmp_path / "pack", tmp_path / "out", *given)
    assert code == 2
    assert problem in line
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_used_are_told_in_one_line(
    tool: ModuleType, row: object, refused: Callable[..., tuple[object, str]], tmp_path: Path
) -> None:
    pack, out, empty = tmp_path / "pack", tmp_path / "out", tmp_path / "empty"
    broken, other = tmp_path / "broken", tmp_path / "other"
    for folder in (pack, empty, broken, other):
        folder.mkdir()
    for name in ("300w", "300w-held-out"):
        (pack / f"{name}.pkl").write_bytes(tool.pickle.dumps([tuple(row)]))  # type: ignore[call-overload]
    (broken / "300w.pkl").write_bytes(b"no pickle")
    torch.save({"nano": {}, "seconds": 1.0, "step": 1}, other / "state.pt")
    (empty / "state.pt").write_bytes(b"no state")
    finder = Path(__file__).parents[1] / "checkpoints" / "finder.safetensors"
    training = ("--recipes", "smoke", "--seconds", "1")
    (tmp_path / "300w" / "afw").mkdir(parents=True)
    write_pts(tmp_path / "300w" / "afw" / "1_1.pts", POINTS)
    for words, problem in (
        (("train", tmp_path / "no", out, *training), "no: no pack of training faces: 300w.pkl is missing or"),
        (("train", empty, out, *training), "empty: no pack of training faces: 300w.pkl is missing or empty"),
        (("train", broken, out, *training), "300w.pkl: not a set of training faces: "),
        (("train", pack, out, *training, "--start", "smoke=nowhere"), "nowhere: "),
        (
            ("train", pack, out, *training, "--teacher", finder),
            "finder.safetensors: a teacher must be a comp",
        ),
        (("train", pack, other, *training), "other holds a run of nano, not of smoke; use another folder"),
        (("train", pack, empty, *training), "state.pt: not the state of a run: "),
        (("pack", tmp_path / "no", out), "no/300w: no annotated images in lfpw/trainset"),
        (("pack", tmp_path, out), f"{tool.HEAD_MODEL}: No such file"),
    ):
        code, line = refused(*words)
        assert code == 1, words
        assert problem in line
    assert not out.exists()


def test_a_step_lowers_the_loss(tool: ModuleType, row: object) -> None:
    torch.manual_seed(0)
    student = tool.Student("smoke", None, 3e-3, 0.5, CPU)
    batches = tool.Batches({"300w": [row] * 4}, [student.net.config.input_size], 4, CPU)
    batch = batches.draw(True, np.random.default_rng(0))
    losses = [float(student.step(batch, None, 1.0)) for _ in range(12)]
    assert losses[-1] < 0.9 * losses[0]
