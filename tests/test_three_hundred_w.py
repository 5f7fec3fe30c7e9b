"""300-W's folders: every face is found with its image, and no photograph is on both sides of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steadyface.datasets.three_hundred_w import (
    PARTS,
    TRAIN_PARTS,
    Sample,
    count_parts,
    find_folder,
    find_samples,
    hold_out,
    load_each,
    without_points,
)
from steadyface.errors import ConfigError, DataError
from steadyface.images import write_image
from steadyface.pts import write_pts

POINTS = np.linspace(0, 30, 136).reshape(68, 2)


def make_part(root: Path, part: str, names: list[str], suffix: str = ".png") -> Path:
    return make_faces(root / PARTS[part][0], names, suffix)


def make_faces(folder: Path, names: list[str], suffix: str = ".png") -> Path:
    folder.mkdir(parents=True)
    for name in names:
        write_image(folder / f"{name}{suffix}", np.full((32, 32, 3), 9, np.uint8))
        write_pts(folder / f"{name}.pts", POINTS)
    return folder


def samples_named(names: list[str], part: str) -> list[Sample]:
    return [Sample(Path(f"{name}.jpg"), Path(f"{name}.pts"), part) for name in names]


def test_finds_and_loads(tmp_path: Path) -> None:
    make_part(tmp_path, "afw", ["2_1", "1_1"])
    make_part(tmp_path, "helen-test", ["face"], ".bmp")
    samples = find_samples(tmp_path, ["helen-test", "afw", "ibug"])
    assert [(sample.part, sample.image_path and sample.image_path.name) for sample in samples] == [
        ("helen-test", "face.bmp"),
        ("afw", "1_1.png"),
        ("afw", "2_1.png"),
    ]
    assert count_parts(samples, ["helen-test", "afw", "ibug"]) == {"helen-test": 1, "afw": 2, "ibug": 0}
    image, points = samples[0].load()
    assert image.shape == (32, 32, 3)
    # Four decimals are written.
    np.testing.assert_allclose(points, POINTS, rtol=0, atol=1e-4)


def test_image_without_annotation_is_no_sample(tmp_path: Path) -> None:
    folder = make_part(tmp_path, "ibug", ["face"])
    write_image(folder / "other.png", np.zeros((4, 4, 3), np.uint8))
    assert len(find_samples(tmp_path, ["ibug"])) == 1


def test_images_without_points_are_known(tmp_path: Path) -> None:
    folder = make_part(tmp_path, "ibug", ["b", "a"])
    assert without_points(folder) == []
    (folder / "b.pts").unlink()
    assert without_points(folder) == [folder / "b.png"]
    assert without_points(tmp_path / "nothing") == []


def test_a_part_in_two_folders(tmp_path: Path) -> None:
    make_faces(tmp_path / "300W" / "01_Indoor", ["indoor_001", "indoor_002"])
    make_faces(tmp_path / "300W" / "02_Outdoor", ["outdoor_001"])
    samples = find_samples(tmp_path, ["private"])
    assert [sample.photo for sample in samples] == ["indoor_001", "indoor_002", "outdoor_001"]
    assert {sample.part for sample in samples} == {"private"}


def test_any_folder(tmp_path: Path) -> None:
    folder = make_faces(tmp_path / "mine", ["b", "a"])
    for hidden in ("._a.png", "._a.pts", "._c.png"):
        (folder / hidden).write_bytes(b"\0\5\x16\7")
    assert [sample.photo for sample in find_folder(folder)] == ["a", "b"]
    assert without_points(folder) == []
    with pytest.raises(DataError, match=r"no \.pts files"):
        find_folder(tmp_path)


def good_and_bad(root: Path) -> dict[str, str]:
    """A folder of three good faces and bad ones: their files' names, and what is to be said about each."""
    bad = {
        "count.pts": r"count\.pts:3: 67 points",
        "away.pts": r"away\.pts: no face in the image.*x 60 to 90.*away\.png is 32 × 32",
        "alone.pts": r"alone\.pts: has no image",
        "nan.pts": r"nan\.pts:\d+: .*nan",
        "torn.png": r"torn\.png: not an image",
    }
    make_faces(root, ["a", "b", "c", *(name.split(".")[0] for name in bad)])
    write_pts(root / "count.pts", POINTS[:67])
    write_pts(root / "away.pts", POINTS + np.array([60.0, 0.0]))
    (root / "alone.png").unlink()
    write_pts(root / "nan.pts", np.where(np.arange(68)[:, None] == 5, np.nan, POINTS))
    (root / "torn.png").write_bytes(b"torn")
    return bad


class TestBadData:
    def test_refused(self, tmp_path: Path) -> None:
        bad = good_and_bad(tmp_path / "mine")
        for sample in find_folder(tmp_path / "mine"):
            name = sample.photo
            message = next((said for file, said in bad.items() if file.split(".")[0] == name), None)
            if message is None:
                assert sample.load()[1].shape == (68, 2)
                continue
            with pytest.raises(DataError, match=message):
                sample.load()
            with pytest.raises(DataError, match=message):
                list(load_each([sample]))

    def test_left_out_and_told(self, tmp_path: Path) -> None:
        bad = good_and_bad(tmp_path / "mine")
        samples = find_folder(tmp_path / "mine")
        told: list[DataError] = []
        assert len(list(load_each(samples, told.append))) == 3
        assert sorted(Path(error.path).name for error in told) == sorted(bad)
        assert [sample.photo for sample, _, _ in load_each(samples, lambda error: None)] == ["a", "b", "c"]

    def test_all_bad(self, tmp_path: Path) -> None:
        good_and_bad(tmp_path / "mine")
        samples = [sample for sample in find_folder(tmp_path / "mine") if len(sample.photo) > 1]
        told: list[DataError] = []
        with pytest.raises(DataError, match="mine: not one annotated face"):
            list(load_each(samples, told.append))
        assert len(told) == len(samples)

    @pytest.mark.parametrize("shift", [(25.0, 0.0), (-29.0, 0.0), (0.0, 31.0), (-30.0, -30.0)])
    def test_a_face_partly_outside_is_good(self, tmp_path: Path, shift: tuple[float, float]) -> None:
        folder = make_part(tmp_path, "ibug", ["face"])
        write_pts(folder / "face.pts", POINTS + shift)
        find_samples(tmp_path, ["ibug"])[0].load()

    @pytest.mark.parametrize("shift", [(32.0, 0.0), (-31.0, 0.0), (0.0, 32.0), (0.0, -31.0)])
    def test_a_face_wholly_outside_is_bad(self, tmp_path: Path, shift: tuple[float, float]) -> None:
        folder = make_part(tmp_path, "ibug", ["face"])
        write_pts(folder / "face.pts", POINTS + shift)
        with pytest.raises(DataError, match=r"face\.pts: no face"):
            find_samples(tmp_path, ["ibug"])[0].load()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no annotated images in lfpw/trainset.*afw"):
        find_samples(tmp_path, TRAIN_PARTS)


def test_unknown_part_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cofw.*" + ".*".join(PARTS)):
        find_samples(tmp_path, ["afw", "cofw"])


class TestHoldOut:
    samples = samples_named([f"{photo}_{face}" for photo in range(400) for face in (1, 2, 3)], "afw")

    def test_splits_by_photograph(self) -> None:
        training, validation = hold_out(self.samples)
        assert not {s.photo for s in training} & {s.photo for s in validation}
        assert sorted(training + validation, key=str) == sorted(self.samples, key=str)

    def test_holds_out_about_one_in(self) -> None:
        for one_in in (4, 16):
            validation = hold_out(self.samples, one_in)[1]
            # 400 photographs: three standard deviations of a binomial are less than 27.
            assert len(validation) / 3 == pytest.approx(400 / one_in, abs=27)

    def test_depends_on_nothing_but_the_photograph(self) -> None:
        held_out = {s.photo for s in hold_out(self.samples)[1]}
        alone = {s.photo for s in self.samples if hold_out([s])[1]}
        backwards = {s.photo for s in hold_out(reversed(self.samples))[1]}
        assert held_out == alone == backwards

    @pytest.mark.parametrize("part", ["afw", "helen-train"])
    def test_faces_of_one_photograph_share_it(self, part: str) -> None:
        assert {s.photo for s in samples_named(["134212_1", "134212_2"], part)} == {"134212"}

    def test_numbers_of_lfpw_are_photographs(self) -> None:
        assert {s.photo for s in samples_named(["image_0001", "image_0002"], "lfpw-train")} == {
            "image_0001",
            "image_0002",
        }


@pytest.mark.parametrize(
    ("part", "count"), [("lfpw-train", 805), ("helen-train", 870), ("afw", 337), ("helen-test", 330)]
)
def test_real_counts(data_dir: Path, part: str, count: int) -> None:
    if not (data_dir / "300w").is_dir():
        pytest.skip(f"no 300-W in {data_dir}")
    samples = find_samples(data_dir / "300w", [part])
    assert len(samples) == count
    image, points = samples[0].load()
    height, width = image.shape[:2]
    assert (points > -0.2 * width).all()
    assert (points < [1.2 * width, 1.2 * height]).all()
