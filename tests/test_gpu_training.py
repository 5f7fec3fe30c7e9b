"""tools/gpu_training.py: crops and flaws drawn on a device agree with those that `steadyface train` draws."""

from __future__ import annotations

import importlib.util
import sys
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
from steadyface.images import crop_region

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


def test_a_step_lowers_the_loss(tool: ModuleType, row: object) -> None:
    torch.manual_seed(0)
    student = tool.Student("smoke", None, 3e-3, 0.5, CPU)
    batches = tool.Batches({"300w": [row] * 4}, [student.net.config.input_size], 4, CPU)
    batch = batches.draw(True, np.random.default_rng(0))
    losses = [float(student.step(batch, None, 1.0)) for _ in range(12)]
    assert losses[-1] < 0.9 * losses[0]
