"""Benchmarks of faces that 300-W lacks: who counts, and figures on points whose errors are known by hand."""

from __future__ import annotations

import zlib
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from steadyface.demo import portrait
from steadyface.errors import ConfigError, DataError
from steadyface.evaluation.evaluate import find_benchmark, load_results, predict, score
from steadyface.evaluation.extra import CLOSED, DARK, OPEN, LidResults, PartialResults
from steadyface.evaluation.images import ImageResults
from steadyface.evaluation.predictions import PlannedRun, Prediction, PredictionFolder, Reading
from steadyface.evaluation.readings import skin_lightness
from steadyface.evaluation.results import Scope
from steadyface.images import write_image
from steadyface.landmarker import Landmarker
from steadyface.measures import MEAN_FACE, eye_openness
from steadyface.models import model_path
from steadyface.pts import write_pts

FACE = np.array([100.0, 120.0]) + MEAN_FACE[:, :2]
READINGS = (Reading.DARK, Reading.FINDER, Reading.SECOND_LOOK)
BOX = [178.0, 80.0, 270.0, 180.0]  # of the portrait's face


def names(held_out: bool, how_many: int, one_in: int = 8) -> list[str]:
    """Names that training holds out, or does not."""
    every = (f"{i}" for i in count() if (zlib.crc32(f"{i}".encode()) % one_in == 0) is held_out)
    return [next(every) for _ in range(how_many)]


def make_set(root: Path, part: str, people: list[str], **arrays: np.ndarray) -> None:
    """A set that shows the portrait once a person, the images numbered."""
    (root / part / "images").mkdir(parents=True)
    images = [f"{part}_{i}.png" for i in range(len(people))]
    for name in images:
        write_image(root / part / "images" / name, portrait().still)
    np.savez(root / part / "points.npz", names=np.array(images), person=np.array(people), **arrays)


def off(amount: float, group: str = "", lightness: float = 50.0, score: float = 1.0) -> Prediction:
    """A prediction that is off by so many px in the second look, exact in the annotated box."""
    points = np.stack([FACE, FACE, FACE + np.array([amount, 0.0])])[:, None]
    scores = np.full((3, 1, 68), score)
    return Prediction(READINGS, points, scores, FACE[None].copy(), np.zeros(1), group, lightness=lightness)


def scope(protocol: str) -> Scope:
    run = PlannedRun(protocol, "tiny", "0" * 64, Reading.DARK, "0.1.0", ["a"], []).run
    return Scope(run=run, skipped={}, missing=[])


def test_only_held_out_people_are_predicted_and_figures_come_back(tmp_path: Path) -> None:
    points = Landmarker("tiny").predict(portrait().still, BOX).points.astype(float)
    points[[*range(9, 17), *range(42, 48)]] = np.nan
    people = [*names(True, 2), *names(False, 3)]
    make_set(tmp_path / "extra", "profiles", people, points=np.stack([points] * 5))
    out = tmp_path / "out"
    predict("profiles", tmp_path, out, weights="tiny")
    results = score(out)
    assert isinstance(results, PartialResults)
    assert set(results.errors) == {"profiles_0", "profiles_1"}
    assert [(row.found, row.of) for row in results.rows] == [(2, 2)] * 3
    assert all(row.error < 5 for row in results.rows)
    assert [row.accepted for row in results.rows] == [None, None, 100]
    assert "% of the distance from ear to nose" in results.as_text()
    results.save(out / "results.json")
    assert repr(load_results(out / "results.json")) == repr(results)


def test_errors_by_age_and_of_the_darkest_quarter() -> None:
    ages = ["0 to 5", "0 to 5", "20 to 39", "40 and older"]
    faces = [off(float(i), ages[i], lightness) for i, lightness in enumerate([40, 30, 60, 70])]
    missed = off(9.0, "40 and older", 80.0, score=0.1)
    missed.points[1:] = np.nan
    named = [(f"{i}", face) for i, face in enumerate([*faces, missed])]
    results = find_benchmark("ages").score(named, scope("ages"))
    assert isinstance(results, PartialResults)
    eyes = np.linalg.norm(FACE[45] - FACE[36]) / 100
    expected = {"": 6 / 4, "0 to 5": 1 / 2, "20 to 39": 2, "40 and older": 3, DARK: 1 / 2}
    for group, error in expected.items():
        row = results.row(Reading.SECOND_LOOK, group)
        assert row is not None
        assert row.error == pytest.approx(error / eyes), group  # type: ignore[attr-defined]
    assert results.row(Reading.SECOND_LOOK, "6 to 12") is None
    whole, oldest = (results.row(Reading.SECOND_LOOK, group) for group in ("", "40 and older"))
    assert whole is not None
    assert oldest is not None
    assert (whole.found, whole.of, whole.accepted) == (4, 5, 80)  # type: ignore[attr-defined]
    assert (oldest.found, oldest.of, oldest.accepted) == (1, 2, 50)  # type: ignore[attr-defined]
    assert results.errors["4"]["second look"] == np.inf


@pytest.mark.parametrize(("score", "accepted"), [(0.5, 0), (0.87, 0), (0.89, 100)])
def test_a_face_of_low_scores_is_found_and_not_accepted(score: float, accepted: float) -> None:
    results = find_benchmark("profiles").score([("a", off(0.0, score=score))], scope("profiles"))
    (row,) = [row for row in results.rows if row.label == "second look"]
    assert (row.found, row.accepted) == (1, accepted)  # type: ignore[attr-defined]


def test_closed_eyes_should_have_no_openness_and_open_ones_their_own() -> None:
    truth = 100 * float(eye_openness(FACE))
    shut = off(0.0, CLOSED)
    shut.truth[:] = np.nan
    named = [("shut", shut), ("open", off(3.0, OPEN))]
    results = find_benchmark("closed-eyes").score(named, scope("closed-eyes"))
    assert isinstance(results, LidResults)
    closed, opened = (results.row(Reading.SECOND_LOOK, group) for group in (CLOSED, OPEN))
    assert closed is not None
    assert opened is not None
    assert (closed.openness, closed.true_openness, closed.error) == pytest.approx((truth, 0, truth))  # type: ignore[attr-defined]
    assert (opened.openness, opened.true_openness, opened.error) == pytest.approx((truth, truth, 0))  # type: ignore[attr-defined]
    assert [row.group_title for row in results.rows] == ["closed eyes"] * 3 + ["open eyes"] * 3


def test_open_eyes_are_those_of_300_w_that_training_held_out(tmp_path: Path) -> None:
    (person,) = names(True, 1)
    make_set(tmp_path / "extra", "closed_eyes", [person])
    for name in [*names(True, 1, 16), *names(False, 2, 16)]:
        (tmp_path / "300w" / "afw").mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "300w" / "afw" / f"{name}_1.png", portrait().still)
        write_pts(tmp_path / "300w" / "afw" / f"{name}_1.pts", FACE)
    found = find_benchmark("closed-eyes").find(tmp_path)
    assert [(item.name, item.group) for item in found.items] == [
        ("closed_eyes_0", CLOSED),
        (f"afw_{names(True, 1, 16)[0]}_1", OPEN),
    ]
    assert found.missing == ["300-W lfpw-train", "300-W helen-train"]


def test_sets_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fgnet: no faces that training held out"):
        find_benchmark("ages").find(tmp_path)


def test_a_face_whose_points_coincide_is_left_out_and_named(tmp_path: Path) -> None:
    points = np.stack([FACE, np.full_like(FACE, 50.0)])
    make_set(tmp_path / "extra", "profiles", names(True, 2), points=points)
    folder = predict("profiles", tmp_path, tmp_path / "out", weights="tiny")
    assert folder.names() == ["profiles_0"]
    assert folder.skipped().keys() == {"profiles_1"}
    problem = "profiles_1.png: its annotated points give no face: box must be finite"
    assert problem in folder.skipped()["profiles_1"]
    assert "left out: 1: profiles_1 (" in score(tmp_path / "out").as_text()


@pytest.mark.parametrize("inside", [".", "extra", "extra/profiles"])
def test_data_may_be_the_folder_of_the_set(
    inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_set(tmp_path / "extra", "profiles", names(True, 1), points=FACE[None])
    for data in (tmp_path / inside, Path()):
        monkeypatch.chdir(tmp_path / inside)
        (item,) = find_benchmark("profiles").find(data).items
        assert item.name == "profiles_0"


def test_predictions_with_another_finder_do_not_mix(tmp_path: Path) -> None:
    make_set(tmp_path / "extra", "profiles", names(True, 1), points=FACE[None])
    other = tmp_path / "other.onnx"
    other.write_bytes(model_path("finder").read_bytes())
    predict("profiles", tmp_path, tmp_path / "out", weights="tiny", detector=other)
    with pytest.raises(ConfigError, match=r"another run: finder other\.onnx, sha256"):
        predict("profiles", tmp_path, tmp_path / "out", weights="tiny")
    assert "face finder: other.onnx, sha256" in score(tmp_path / "out").as_text()


@pytest.mark.parametrize(("grey", "lightness"), [(0, 0.0), (119, 50.0), (255, 100.0)])
def test_lightness_is_that_of_the_middle_of_the_face(grey: int, lightness: float) -> None:
    """119 is the grey of sRGB whose L* is 50."""
    image = np.full((400, 400, 3), 200 if grey < 128 else 60, np.uint8)
    x0, y0, x1, y1 = (*FACE[:, :].min(axis=0), *FACE.max(axis=0))
    image[int(y0) - 2 : int(y1) + 2, int(x0) - 2 : int(x1) + 2] = grey
    assert skin_lightness(image, FACE) == pytest.approx(lightness, abs=0.5)
    assert np.isnan(skin_lightness(image, np.where(np.arange(68)[:, None] == 36, np.nan, FACE)))
    assert np.isnan(skin_lightness(image, FACE + 1000))


def test_images_are_told_apart_by_the_lightness_of_the_skin() -> None:
    faces = [(f"{i}", off(float(5 - i), lightness=10.0 * (i + 1))) for i in range(5)]
    results = find_benchmark("folder").score(faces, scope("folder"))
    assert isinstance(results, ImageResults)
    row = results.row(Reading.SECOND_LOOK)
    assert row is not None
    eyes = np.linalg.norm(FACE[45] - FACE[36]) / 100
    assert row.nrmse_by_lightness == pytest.approx(np.array([5, 4, 3, 2, 1]) / eyes)
    assert results.lightness == [10, 20, 30, 40, 50]
    assert "NRMSE by the lightness of the skin in the picture" in results.as_text()


def test_predictions_of_versions_without_lightness_have_no_such_table(tmp_path: Path) -> None:
    folder = PredictionFolder(tmp_path)
    folder.write_run(PlannedRun("folder", "tiny", "0" * 64, Reading.DARK, "0.1.0", ["a"], []))
    folder.write("a", off(1.0, lightness=30.0))
    assert folder.read("a").lightness == 30
    assert score(tmp_path).lightness == [30, *[pytest.approx(np.nan, nan_ok=True)] * 4]  # type: ignore[attr-defined]
    path = tmp_path / "items" / "a.npz"
    with np.load(path) as arrays:
        np.savez(path, **{name: values for name, values in arrays.items() if name != "lightness"})
    results = score(tmp_path)
    assert isinstance(results, ImageResults)
    assert results.lightness is None
    assert "lightness" not in results.as_text()
