"""Training and export, end to end on a handful of crops and pictures of the portrait."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from heads import small_head
from lightning_fabric import Fabric

from steadyface import heatmap, markup
from steadyface.checkpoint import load_network
from steadyface.datasets.face_boxes import read_boxes
from steadyface.datasets.three_hundred_w import find_samples, hold_out
from steadyface.demo import portrait
from steadyface.errors import ConfigError, DataError, ExportError, WeightsError
from steadyface.export.network import export_onnx
from steadyface.geometry import Affine, change_grid, flip_points
from steadyface.images import resize_to, write_image
from steadyface.landmarker import Landmarker
from steadyface.nets import FinderConfig, FinderNet
from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.finder import STRIDE
from steadyface.nets.hourglass import HourglassConfig
from steadyface.pts import read_pts, write_pts
from steadyface.training import RECIPES, train
from steadyface.training.augmentation import Augmentation
from steadyface.training.collages import Collage
from steadyface.training.finder import prepare_finder
from steadyface.training.landmarks import LandmarkTask, prepare_landmarks
from steadyface.training.photos import hold_out_photos
from steadyface.training.recipes import BaseRecipe

PLAIN = Augmentation(scale=0.05, shift=0.02, roll=5.0, flip=0.0, camera=0.0, occlusion=0.0)
SMOKE = replace(RECIPES["smoke"], background_share=0.0)
SMALL_FINDER = replace(
    RECIPES["finder"], network=FinderConfig(input_size=64), frame_size=64, epochs=1, batch_size=4
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LFPW: 24 photographs of one face."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "300w" / "lfpw" / "trainset"
    folder.mkdir(parents=True)
    still = portrait().still
    points = Landmarker().predict(still, np.array([172.0, 75.0, 274.0, 165.0])).points.astype(float)
    for i in range(24):
        write_image(folder / f"image_{i:04d}.png", still)
        write_pts(folder / f"image_{i:04d}.pts", points)
    return root


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny folder of photographs: ten times the portrait, twice a ramp; the last of each is held out."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "faces").mkdir()
    small, to_small = resize_to(portrait().still, 128)
    box = to_small.boxes(np.array([172.0, 75.0, 274.0, 165.0]))
    ramp = (np.linspace(40, 200, 128)[None, :, None] * np.ones((96, 1, 3))).astype(np.uint8)
    listed: dict[str, list] = {}
    for i in range(12):
        empty = i in (9, 11)
        listed[f"scene_{i:02d}.png"] = [] if empty else [{"box": box.tolist(), "by": "annotation"}]
        write_image(root / "faces" / f"scene_{i:02d}.png", ramp if empty else small)
    (root / "faces" / "faces.json").write_text(json.dumps(listed))
    return root


@pytest.mark.parametrize("task", ["landmarks", "finder"])
def test_a_resumed_run_equals_an_unbroken_one(data: Path, pictures: Path, tmp_path: Path, task: str) -> None:
    recipe = replace(SMALL_FINDER if task == "finder" else SMOKE, epochs=2)
    data = pictures if task == "finder" else data
    lines: list[str] = []
    train(recipe, data, tmp_path / "whole", report=lines.append)
    epochs = [line.split("  ")[0] for line in lines if line.startswith("epoch")]
    assert epochs == ["epoch 1/2", "epoch 2/2"]

    def stop(line: str) -> None:
        if line.startswith("epoch"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, data, tmp_path / "broken", report=stop)
    train(recipe, data, tmp_path / "broken", resume=True, report=lines.append)
    states = [torch.load(tmp_path / run / "last.pt", weights_only=True)["net"] for run in ("whole", "broken")]
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key
    with (tmp_path / "broken" / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_a_run_is_never_overwritten(data: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").touch()
    with pytest.raises(ConfigError, match="resume it or name another folder"):
        train(SMOKE, data, tmp_path)
    with pytest.raises(ConfigError, match="missing"):
        train(SMOKE, data, tmp_path / "other", resume=True)


def test_a_run_is_not_resumed_on_other_data(data: Path, tmp_path: Path) -> None:
    root, recipe = tmp_path / "data", replace(SMOKE, epochs=2)
    shutil.copytree(data, root)

    def stop(line: str) -> None:
        if line.startswith("epoch"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, root, tmp_path / "run", report=stop)
    more = root / "300w" / "lfpw" / "trainset"
    with pytest.raises(ConfigError, match="by a run on other data: 5 steps an epoch, not 11"):
        train(recipe, root, tmp_path / "run", resume=True, extra=more, report=lambda line: None)


def test_data_of_which_none_is_held_out_is_refused_before_the_first_step(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    folder = root / "300w" / "lfpw" / "trainset"
    shutil.copytree(data / "300w" / "lfpw" / "trainset", folder)
    held_out = [sample.points_path for sample in hold_out(find_samples(root / "300w", ["lfpw-train"]))[1]]
    part = root / "extra" / "helen256"
    part.mkdir(parents=True)
    np.savez(part / "points.npz", names=np.array(["0.png"]), points=read_pts(held_out[0])[None])
    with pytest.raises(DataError, match="helen256: too few annotated faces: 1 to train on, 0 held out"):
        train(
            replace(SMOKE, extra_shares={"helen256": 0.1}), root, tmp_path / "run", report=lambda line: None
        )
    for path in held_out:
        path.unlink()
    with pytest.raises(DataError, match="300w: too few annotated faces: 23 to train on, 0 held out"):
        train(SMOKE, root, tmp_path / "run", report=lambda line: None)


def test_weights_are_written_even_if_no_error_can_be_measured(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LandmarkTask, "validate", lambda self, net: {"nrmse": float("nan")})
    assert train(SMOKE, data, tmp_path / "run", report=lambda line: None).is_file()


TRAINED = Path(__file__).parents[1] / "checkpoints" / "tiny.safetensors"
"""A network that knows the portrait: an untrained one has no peaks to agree on."""


def test_the_exported_graph_agrees_with_torch(tmp_path: Path) -> None:
    """`export_onnx` compares points at batch 1 and 7 itself; here the file also has to work in its place."""
    found = export_onnx(load_network(TRAINED), tmp_path / "net.onnx", name="test", method="fhr_symmetric")
    assert found.worst <= 0.05
    landmarker = Landmarker(tmp_path / "net.onnx", device="cpu")
    assert (landmarker.name, landmarker.decoder, landmarker.input_size) == ("test", "fhr_symmetric", 128)


def test_a_graph_that_disagrees_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steadyface.export.check.TOLERANCE_PX", -1.0)
    with pytest.raises(ExportError, match="allowed are"):
        export_onnx(CompactNet(CompactConfig(input_size=32)), tmp_path / "net.onnx", name="test")


def test_a_student_imitates_its_teacher(data: Path, tmp_path: Path) -> None:
    """The teacher sees 128 px, the student 32 px; a share of 1 leaves nothing of the annotations."""
    recipe = replace(
        SMOKE,
        network=CompactConfig(input_size=32, sigma=0.75),
        epochs=6,
        ema=0.8,
        mean_weight=0.0,
        teacher_weight=1.0,
        augmentation=PLAIN,
    )
    lines: list[str] = []
    train(recipe, data, tmp_path / "run", teacher=TRAINED, report=lines.append)
    errors = [float(line.split("validation ")[1].split()[0]) for line in lines if line[:5] == "epoch"]
    assert errors[-1] < 0.5 * errors[0]


class _Fixed(torch.nn.Module):
    """A network whose log-heatmaps are the same for every crop."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_teacher_shown_mirrored_views_teaches_a_crop_and_its_mirror_image_alike(
    data: Path, mirrored: bool
) -> None:
    recipe = replace(SMOKE, teacher_mirrored=mirrored)
    sources = {"start": None, "teacher": TRAINED, "extra": None}
    task = prepare_landmarks(
        recipe, Fabric(accelerator="cpu"), lambda line: None, data, **sources, skip_bad=False
    )
    crop, points, face = (torch.as_tensor(value)[None] for value in task.samples[0, 0])
    logits = torch.randn(1, 68, 16, 16)
    flipped = torch.from_numpy(flip_points(points[0].numpy(), crop.shape[2], markup.FLIP))[None]
    plain = task.loss(_Fixed(logits), (crop, points, face))
    turned = task.loss(_Fixed(logits.flip(-1)[:, markup.FLIP]), (crop.flip(2), flipped, face))
    assert torch.isclose(plain, turned, rtol=1e-4) == mirrored


def test_the_paper_s_recipe_at_a_small_size(data: Path, tmp_path: Path) -> None:
    small = HourglassConfig(input_size=64, stacks=2, features=8, unit="wide")
    recipe = replace(RECIPES["paper"], network=small, epochs=2, batch_size=11)
    lines: list[str] = []
    best = train(recipe, data, tmp_path / "run", report=lines.append)
    losses = [float(line.split("loss ")[1].split()[0]) for line in lines[2:]]
    assert losses[1] < losses[0]
    assert load_network(best).config == small
    with pytest.raises(ConfigError, match="imitated by logits only"):
        train(recipe, data, tmp_path / "other", teacher=best)


def test_bad_annotations_are_named_and_refused_or_left_out(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    part = root / "300w" / "lfpw" / "trainset"
    text = (part / "image_0003.pts").read_text().splitlines()
    (part / "image_0003.pts").write_text("\n".join([*text[:7], "nan 3.0", *text[8:]]))
    with pytest.raises(DataError, match=r"image_0003.pts:8: .*finite"):
        train(SMOKE, root, tmp_path / "refused", report=lambda line: None)
    lines: list[str] = []
    train(SMOKE, root, tmp_path / "skipped", skip_bad=True, report=lines.append)
    assert any("left out" in line and "image_0003.pts:8" in line for line in lines)
    assert "22 faces to train on, 1 held out" in lines


def test_more_faces_come_from_any_folder(data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    extra = data / "300w" / "lfpw" / "trainset"
    train(SMOKE, data, tmp_path / "run", extra=extra, report=lines.append)
    assert "47 faces to train on, 1 held out" in lines


def test_extra_sets_are_mixed_in_and_judged_by_their_own_errors(data: Path, tmp_path: Path) -> None:
    """A part of the portrait's points, and its eyes as if they were closed."""
    root = tmp_path / "data"
    shutil.copytree(data, root)
    points = read_pts(root / "300w" / "lfpw" / "trainset" / "image_0000.pts")
    points[:8] = np.nan
    for part, arrays in (("profiles", {"points": np.stack([points] * 12)}), ("closed_eyes", {})):
        (root / "extra" / part / "images").mkdir(parents=True)
        names = np.array([f"{i}.png" for i in range(12)])
        np.savez(root / "extra" / part / "points.npz", names=names, **arrays)
        for name in names:
            write_image(root / "extra" / part / "images" / name, portrait().still)
    lines: list[str] = []
    recipe = replace(SMOKE, extra_shares={"profiles": 0.25, "closed_eyes": 0.25, "fgnet": 0.5})
    train(recipe, root, tmp_path / "alone", report=lines.append)
    assert "profiles: 11 faces to train on, 8 an epoch; 1 held out" in lines
    assert "extra: profiles 12, closed_eyes 12, fgnet missing" in lines
    assert any(line.startswith("closed_eyes: left out") for line in lines)
    train(recipe, root, tmp_path / "taught", teacher=TRAINED, report=lines.append)
    assert "closed_eyes: 11 faces to train on, 12 an epoch; 1 held out" in lines
    with (tmp_path / "taught" / "log.csv").open() as file:
        (row,) = csv.DictReader(file)
    errors = {name: float(row[f"validation_{name}"]) for name in ("all", "nrmse", "profiles", "closed_eyes")}
    assert errors["all"] == pytest.approx(
        errors["nrmse"] / 2 + (errors["profiles"] + errors["closed_eyes"]) / 4, rel=1e-3
    )
    assert errors["nrmse"] > 0


def test_bad_pictures_without_annotation_are_named_and_refused_or_left_out(
    data: Path, pictures: Path, tmp_path: Path
) -> None:
    """Of closed eyes, and photographs for crops of no face."""
    root = tmp_path / "data"
    shutil.copytree(data, root)
    shutil.copytree(pictures / "faces", root / "faces")
    images = root / "extra" / "closed_eyes" / "images"
    images.mkdir(parents=True)
    names = np.array([f"{i}.png" for i in range(12)])
    np.savez(images.parent / "points.npz", names=names)
    for name in names:
        write_image(images / name, portrait().still)
    recipe = replace(SMOKE, background_share=0.1, extra_shares={"closed_eyes": 0.25})
    for path in (root / "faces" / "scene_00.png", images / "0.png"):
        path.write_bytes(b"no picture")
        with pytest.raises(DataError, match=path.name):
            train(recipe, root, tmp_path / "refused", teacher=TRAINED, report=lambda line: None)
    lines: list[str] = []
    train(recipe, root, tmp_path / "skipped", teacher=TRAINED, skip_bad=True, report=lines.append)
    left_out = [line for line in lines if "left out" in line]
    assert len(left_out) == 2
    assert "scene_00.png" in left_out[0]
    assert "0.png" in left_out[1]


def test_faces_of_300_w_are_turned_too_if_asked(data: Path, tmp_path: Path) -> None:
    root, head = tmp_path / "data", small_head()
    shutil.copytree(data, root)
    recipe = replace(SMOKE, turned_share=0.5)
    with pytest.raises(DataError, match=r"ict_facekit\.npz: No such file"):
        train(recipe, root, tmp_path / "without", report=lambda line: None)
    (root / "extra" / "ict_facekit").mkdir(parents=True)
    np.savez(
        root / "extra" / "ict_facekit" / "ict_facekit.npz",
        neutral=head.neutral,
        identity=head.identity,
        expression=head.expression,
        expression_names=np.array(head.names),
        quads=head.triangles[:, [0, 1, 2, 2]],
        landmarks68=head.landmarks,
    )
    lines: list[str] = []
    train(recipe, root, tmp_path / "run", report=lines.append)
    assert "turned faces: 23 an epoch" in lines


def test_two_processes_share_the_work(data: Path, tmp_path: Path) -> None:
    """As on several GPUs: each process takes half of the batches, the first one writes the files."""
    code = (
        "import sys; from dataclasses import replace; from steadyface.training import RECIPES, train\n"
        "recipe = replace(RECIPES['smoke'], background_share=0.0)\n"
        "train(recipe, sys.argv[1], sys.argv[2], devices=2)"
    )
    script = tmp_path / "share.py"
    script.write_text(code)
    arguments = [sys.executable, str(script), str(data), str(tmp_path / "run")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.count("epoch 1/1") == 1
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert state["schedule"]["last_epoch"] == 3  # 23 faces and a repeated one, batches of 4, two processes


def test_a_finder_learns(pictures: Path, tmp_path: Path) -> None:
    upright = Collage(natural=1.0, tiles=(1.0, 0.0, 0.0), turned=0.0, covered=0.0, dark=0.0)
    recipe = replace(SMALL_FINDER, epochs=12, batch_size=5, learning_rate=3e-3, ema=0.998, collage=upright)
    lines: list[str] = []
    best = train(recipe, pictures, tmp_path / "run", report=lines.append)
    assert lines[0] == "10 photographs to train on, 2 held out with 1 annotated faces"
    net = load_network(best)
    assert isinstance(net, FinderNet)
    assert net.config == recipe.network
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert 0 <= float(rows[-1]["validation_missed"]) <= 100


def test_a_finder_learns_from_extra_sets_and_is_judged_by_them(pictures: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(pictures, root)
    points = Landmarker().predict(portrait().still, np.array([172.0, 75.0, 274.0, 165.0])).points
    points[:8] = np.nan
    names = np.array([f"{i}.png" for i in range(12)])
    (root / "extra" / "profiles" / "images").mkdir(parents=True)
    np.savez(root / "extra" / "profiles" / "points.npz", names=names, points=np.stack([points] * 12))
    for name in names:
        write_image(root / "extra" / "profiles" / "images" / name, portrait().still)
    lines: list[str] = []
    recipe = replace(SMALL_FINDER, extra_shares={"profiles": 0.5, "fgnet": 0.2})
    train(recipe, root, tmp_path / "run", report=lines.append)
    assert "profiles: 11 faces to train on, 10 an epoch; 1 held out" in lines
    with (tmp_path / "run" / "log.csv").open() as file:
        (row,) = csv.DictReader(file)
    errors = {name: float(row[f"validation_{name}"]) for name in ("all", "missed", "profiles")}
    assert errors["all"] == pytest.approx((errors["missed"] + errors["profiles"]) / 2)


class Knowing(FinderNet):
    """Sees a face in square frames only, in one box."""

    def __init__(self, config: FinderConfig, box: np.ndarray) -> None:
        super().__init__(config)
        self.box = torch.from_numpy(box).float()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2] // STRIDE, images.shape[3] // STRIDE
        low, high = self.box[:2], self.box[2:]
        centre = change_grid((low + high) / 2, 1 / STRIDE)
        heat = heatmap.encode(centre, (height, width), self.config.sigma) * (height == width)
        sizes = torch.log((high - low) / STRIDE)[:, None, None].expand(2, height, width)
        return torch.cat([heat.clamp(1e-6, 0.99).logit()[None], sizes, torch.zeros(2, height, width)])[None]


def test_a_finder_is_judged_by_the_faces_that_it_misses(pictures: Path) -> None:
    """The held-out portrait, 128 px, is shown at 64 px; the held-out ramp is not square."""
    task = prepare_finder(
        SMALL_FINDER, Fabric(accelerator="cpu"), lambda line: None, pictures, start=None, skip_bad=False
    )
    (face,) = read_boxes(pictures / "faces")["scene_10.png"]
    box = Affine.scaling(0.5).boxes(face.box)
    assert task.validate(Knowing(SMALL_FINDER.network, box)) == {"missed": 0}
    assert task.validate(Knowing(SMALL_FINDER.network, box + 10)) == {"missed": 100}


def test_a_finder_starts_from_a_file(pictures: Path, data: Path, tmp_path: Path) -> None:
    """With a rate that moves nothing the start is what is kept; another seed would make another head."""
    recipe = replace(SMALL_FINDER, schedule="constant", learning_rate=1e-12, weight_decay=0.0)
    first = train(recipe, pictures, tmp_path / "first", report=lambda line: None)
    other = replace(recipe, seed=1)
    second = train(other, pictures, tmp_path / "second", start=first, report=lambda line: None)
    weights = [dict(load_network(path).named_parameters()) for path in (first, second)]
    for key, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][key], msg=key)
    with pytest.raises(WeightsError, match="first"):
        train(SMOKE, data, tmp_path / "third", start=first, report=lambda line: None)


@pytest.mark.parametrize("recipe", [SMOKE, SMALL_FINDER])
@pytest.mark.parametrize("name", ["nothere.safetensors", "text.safetensors"])
def test_a_start_that_is_none_is_noticed_before_data_are_read(
    recipe: BaseRecipe, name: str, tmp_path: Path
) -> None:
    """There are no data, which would be the next thing to be missed."""
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(WeightsError, match=name):
        train(recipe, tmp_path / "no data", tmp_path / "run", start=tmp_path / name)


@pytest.mark.parametrize("option", ["teacher", "extra"])
def test_a_finder_has_no_use_for_what_teaches_landmarks(pictures: Path, tmp_path: Path, option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option} is for landmark networks"):
        train(SMALL_FINDER, pictures, tmp_path / "run", **{option: tmp_path})  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_a_finder_s_bad_photographs_are_named_and_refused_or_left_out(pictures: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(pictures, root)
    name = hold_out_photos(root / "faces")[0][0]
    (root / "faces" / name).write_bytes(b"no picture")
    with pytest.raises(DataError, match=name):
        train(SMALL_FINDER, root, tmp_path / "refused", report=lambda line: None)
    lines: list[str] = []
    train(SMALL_FINDER, root, tmp_path / "skipped", skip_bad=True, report=lines.append)
    assert any("left out" in line and name in line for line in lines)
    assert "9 photographs to train on, 2 held out with 1 annotated faces" in lines


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        (None, "faces.json: No such file"),
        ("[", "faces.json: not a list of face boxes"),
        ("{}", "faces.json: too few photographs: 0 to train on, 0 held out"),
    ],
)
def test_a_finder_without_photographs_is_one_clear_error(
    tmp_path: Path, listed: str | None, problem: str
) -> None:
    (tmp_path / "faces").mkdir()
    if listed is not None:
        (tmp_path / "faces" / "faces.json").write_text(listed)
    with pytest.raises(DataError, match=problem):
        train(SMALL_FINDER, tmp_path, tmp_path / "run", report=lambda line: None)


def test_a_batch_larger_than_the_data_is_refused(pictures: Path, tmp_path: Path) -> None:
    recipe = replace(SMALL_FINDER, batch_size=64)
    with pytest.raises(ConfigError, match="batch_size 64 is more than the 10 samples"):
        train(recipe, pictures, tmp_path / "run", report=lambda line: None)


def test_recipes_name_what_they_do_not_know() -> None:
    with pytest.raises(ConfigError, match="unknown optimizer 'sgd'"):
        replace(SMOKE, optimizer="sgd")
    with pytest.raises(ConfigError, match="unknown schedule 'steps'"):
        replace(SMOKE, schedule="steps")
