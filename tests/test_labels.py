"""Pseudo-labels: right where a face is seen, none where views disagree, and readable as training data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from steadyface import metrics
from steadyface.datasets.three_hundred_w import find_folder
from steadyface.demo import portrait
from steadyface.errors import ConfigError
from steadyface.geometry import Region
from steadyface.images import write_image
from steadyface.labels import LARGEST_SPREAD, LabelCount, label_face, write_labels
from steadyface.landmarker import Landmarker
from steadyface.tracking import Tracker

FACE = np.array([172.0, 75.0, 274.0, 165.0])  # of the portrait, image px


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker(device="cpu")


def test_views_of_a_face_agree_and_views_of_nothing_do_not(landmarker: Landmarker) -> None:
    still = portrait().still
    label = label_face(landmarker, still, Region.around_box(FACE))
    plain = landmarker.predict(still, FACE).points
    assert metrics.nrmse_interocular(label.points, plain.astype(float)) < 3.0
    assert label.spread < LARGEST_SPREAD
    noise = np.random.default_rng(0).integers(0, 256, still.shape, dtype=np.uint8)
    assert label_face(landmarker, noise, Region.around_box(FACE)).spread > LARGEST_SPREAD


def test_photographs_give_their_unannotated_faces(landmarker: Landmarker, tmp_path: Path) -> None:
    folder, out = tmp_path / "faces", tmp_path / "labels"
    folder.mkdir()
    write_image(folder / "a.png", portrait().still)
    faces = [
        {"box": FACE.tolist(), "by": "annotation"},
        {"box": (FACE + 2).tolist(), "by": "teacher"},
        {"box": [10, 10, 30, 30], "by": "teacher"},  # too small to be of use
        {"box": [300, 300, 400, 400], "by": "teacher"},  # no face
    ]
    (folder / "faces.json").write_text(json.dumps({"a.png": faces}))
    assert write_labels(folder, out, Tracker(landmarker)) == LabelCount(1, 2)
    (sample,) = find_folder(out)
    assert sample.points_path.name == "a_1.pts"
    image, points = sample.load()
    again = landmarker.predict_regions(image, [sample.region(points)])[0].points
    # The written picture is a JPEG of the face at its own size: what the network says of it hardly moves.
    assert metrics.nrmse_interocular(again.astype(float), points) < 3.0


def test_photographs_that_cannot_be_read_are_told_and_the_others_labelled(
    landmarker: Landmarker, tmp_path: Path
) -> None:
    folder, out = tmp_path / "faces", tmp_path / "labels"
    folder.mkdir()
    for name in ("a.png", "d.png"):
        write_image(folder / name, portrait().still)
    (folder / "c.png").write_bytes(b"no image")
    face = {"box": FACE.tolist(), "by": "teacher"}
    (folder / "faces.json").write_text(json.dumps({f"{name}.png": [face] for name in "abcd"}))
    labels = write_labels(folder, out, Tracker(landmarker))
    assert (labels.kept, labels.seen) == (2, 2)
    told = f"{folder}: 2 of 4 photographs cannot be read, the first is {folder / 'b.png'}: No such file"
    assert (labels.damage or "").startswith(told)
    assert sorted(path.name for path in out.glob("*.pts")) == ["a_0.pts", "d_0.pts"]


def test_clips_give_a_face_every_few_frames(landmarker: Landmarker, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for i in range(5):
        write_image(folder / f"{i}.png", portrait().still)
    tracker = Tracker(landmarker, stabilizer="none")
    assert write_labels(folder, tmp_path / "labels", tracker, every=2) == LabelCount(3, 3)
    names = [sample.points_path.stem for sample in find_folder(tmp_path / "labels")]
    assert names == ["clip_000000_0", "clip_000002_0", "clip_000004_0"]
    with pytest.raises(ConfigError, match="every"):
        write_labels(folder, tmp_path / "labels", Tracker(landmarker), every=0)


def test_what_cannot_be_read_of_a_clip_is_told(landmarker: Landmarker, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for i in (0, 2):
        write_image(folder / f"{i}.png", portrait().still)
    (folder / "1.png").write_bytes(b"no image")
    labels = write_labels(folder, tmp_path / "labels", Tracker(landmarker, stabilizer="none"), every=1)
    assert (labels.kept, labels.seen) == (2, 2)
    assert "the first is frame 1" in (labels.damage or "")
