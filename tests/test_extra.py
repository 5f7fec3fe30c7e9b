"""Sets of faces with a part of the points: their readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steadyface import markup
from steadyface.datasets.extra import PARTS, face_errors, find_extra, set_error
from steadyface.datasets.three_hundred_w import hold_out
from steadyface.errors import ConfigError, DataError
from steadyface.geometry import bounding_box
from steadyface.measures import MEAN_FACE, eye_aspect_ratio

FACE = np.array([100.0, 120.0]) + MEAN_FACE[:, :2]
STEP = np.array([3.0, 4.0])  # 5 px


def write(root: Path, part: str, names: list[str], **arrays: np.ndarray) -> None:
    (root / part / "images").mkdir(parents=True)
    np.savez(root / part / "points.npz", names=np.array(names), **arrays)


def test_profiles_lose_the_ends_of_their_brows_and_are_split_by_person(tmp_path: Path) -> None:
    names = [f"{i}.jpg" for i in range(60)]
    write(tmp_path, "profiles", names, points=np.stack([FACE] * 60), person=np.repeat(range(30), 2))
    samples = find_extra(tmp_path, "profiles")
    unknown = np.flatnonzero(np.isnan(samples[0].points).any(axis=1))
    np.testing.assert_array_equal(unknown, [17, 21, 22, 26])
    training, validation = hold_out(samples, 8)
    assert len(training) + len(validation) == 60
    assert validation
    assert not {sample.photo for sample in training} & {sample.photo for sample in validation}


def test_visibility_is_what_codes_or_annotations_say(tmp_path: Path) -> None:
    codes = np.resize([0, 1, 2], 68)
    write(tmp_path, "aflw80", ["a.jpg"], points=FACE[None], visibility=codes[None])
    (coded,) = find_extra(tmp_path, "aflw80")
    np.testing.assert_array_equal(coded.visible, codes == 2)
    half = FACE.copy()
    half[[*range(9, 17), *range(42, 48)]] = np.nan
    write(tmp_path, "profiles", ["b.jpg"], points=half[None])
    (profile,) = find_extra(tmp_path, "profiles")
    assert (profile.visible[[0, 8, 30, 36]] == 1).all()
    assert (profile.visible[[16, 9, 42, 47]] == 0).all()
    write(tmp_path, "helen256", ["c_1.jpg"], points=half[None])
    (frontal,) = find_extra(tmp_path, "helen256")
    assert np.isnan(frontal.visible[[16, 42]]).all()
    assert np.nansum(frontal.visible) == 68 - 14


def test_fgnet_keeps_what_agrees_with_ibug_and_the_whole_faces_box(tmp_path: Path) -> None:
    points = FACE.copy()
    points[markup.SEVEN_TALKING_FACE] = FACE[markup.SEVEN]
    write(tmp_path, "fgnet", ["001a02.jpg"], points=points[None])
    (sample,) = find_extra(tmp_path, "fgnet")
    assert sample.box == pytest.approx(bounding_box(points))
    shared = [number for number in markup.SEVEN if number != markup.NOSE_TIP]
    np.testing.assert_allclose(sample.points[shared], FACE[shared])
    assert np.isfinite(sample.points).all(axis=1).sum() == len(markup.FGNET_TO_IBUG)


def test_faces_without_points_are_of_use_only_where_eyes_are_closed(tmp_path: Path) -> None:
    points = np.stack([FACE, np.full_like(FACE, np.nan), FACE])
    write(tmp_path, "helen256", ["7_1.jpg", "8_1.jpg", "7_2.jpg"], points=points)
    assert [sample.person for sample in find_extra(tmp_path, "helen256")] == ["7", "7"]
    write(tmp_path, "closed_eyes", ["face_1.jpg", "face_2.jpg"])
    samples = find_extra(tmp_path, "closed_eyes")
    assert [sample.person for sample in samples] == ["face_1", "face_2"]
    assert all(np.isnan(sample.points).all() for sample in samples)


def test_sets_that_are_missing_unknown_or_broken(tmp_path: Path) -> None:
    assert find_extra(tmp_path, "aflw80") == []
    with pytest.raises(ConfigError, match="portraits"):
        find_extra(tmp_path, "portraits")
    write(tmp_path, "aflw80", ["a.jpg"], points=FACE[None, :50])
    with pytest.raises(DataError, match=r"points.npz: not a file of annotated faces: .*\(1, 50, 2\)"):
        find_extra(tmp_path, "aflw80")
    (tmp_path / "aflw80" / "points.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"points.npz: not a file of annotated faces"):
        find_extra(tmp_path, "aflw80")
    np.savez(tmp_path / "aflw80" / "points.npz", points=FACE[None])
    with pytest.raises(DataError, match=r"points.npz: not a file of annotated faces: it lacks 'names'"):
        find_extra(tmp_path, "aflw80")


@pytest.mark.parametrize("part", [part for part in PARTS if part != "closed_eyes"])
def test_errors_are_of_annotated_points_only_and_know_no_scale(part: str) -> None:
    truth = np.stack([FACE, FACE])
    truth[:, [5, 16]] = np.nan
    assert set_error(part, np.stack([FACE, FACE]), truth) == 0
    moved = np.stack([FACE + STEP, FACE])
    error = set_error(part, moved, truth)
    assert error > 0
    assert set_error(part, 7 * moved, 7 * truth) == pytest.approx(error)


def test_profiles_are_measured_from_the_visible_ear_to_the_nose() -> None:
    truth = np.full((1, 68, 2), np.nan)
    truth[0, 16], truth[0, 30] = [0.0, 0.0], [100.0, 0.0]
    assert set_error("profiles", np.zeros((1, 68, 2)) + STEP, truth) == pytest.approx(
        (5 + np.hypot(97, 4)) / 2
    )


def test_closed_eyes_are_measured_by_their_openness() -> None:
    faces = np.stack([FACE] * 3)
    openness = np.mean([eye_aspect_ratio(FACE, eye) for eye in markup.EYES])
    assert set_error("closed_eyes", faces, np.full_like(faces, np.nan)) == pytest.approx(100 * openness)


@pytest.mark.parametrize("part", PARTS)
def test_a_face_that_was_not_found_has_no_error(part: str) -> None:
    errors = face_errors(part, np.stack([FACE, np.full_like(FACE, np.nan)]), np.stack([FACE, FACE]))
    assert np.isnan(errors).tolist() == [False, True]


def test_a_face_whose_points_do_not_tell_its_size_is_left_out_of_the_error() -> None:
    earless, single = FACE.copy(), np.full_like(FACE, np.nan)
    earless[[0, 16]], single[30] = np.nan, FACE[30]
    for part, face in (("profiles", earless), ("aflw80", single), ("helen256", earless)):
        face = face.copy()
        face[36] = np.nan  # an outer corner of an eye
        truth = np.stack([FACE, face])
        assert set_error(part, truth + STEP, truth) == set_error(part, truth[:1] + STEP, truth[:1])
        with pytest.raises(DataError, match=f"{part}: no face has the points"):
            set_error(part, truth[1:] + STEP, truth[1:])


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_points_that_are_no_positions_are_refused_by_name(tmp_path: Path, value: float) -> None:
    points = np.stack([FACE, FACE])
    points[1, 20, 0] = value
    write(tmp_path, "aflw80", ["a.jpg", "b.jpg"], points=points)
    with pytest.raises(DataError, match=r"points.npz: .*points of b.jpg that are neither finite nor NaN"):
        find_extra(tmp_path, "aflw80")


def test_ages_are_read_where_they_are_known(tmp_path: Path) -> None:
    write(tmp_path, "fgnet", ["001a02.jpg", "001a40.jpg"], points=np.stack([FACE] * 2), age=np.array([2, 40]))
    assert [sample.age for sample in find_extra(tmp_path, "fgnet")] == [2, 40]
    write(tmp_path, "helen256", ["7_1.jpg"], points=FACE[None])
    assert find_extra(tmp_path, "helen256")[0].age is None
    write(tmp_path, "profiles", ["a.jpg"], points=FACE[None], age=np.array([2, 40]))
    with pytest.raises(DataError, match="2 ages, 1 names"):
        find_extra(tmp_path, "profiles")
