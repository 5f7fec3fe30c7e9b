"""300-W's folders: every face is found with its image, and no photograph is on both sides of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steadyface.datasets.pts import write_pts
from steadyface.datasets.three_hundred_w import PARTS, TRAIN_PARTS, Sample, find_samples, hold_out
from steadyface.errors import ConfigError, DataError
from steadyface.images import write_image

POINTS = np.linspace(0, 30, 136).reshape(68, 2)


def make_part(root: Path, part: str, names: list[str], suffix: str = ".png") -> Path:
    folder = root / PARTS[part]
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
    assert [(sample.part, sample.image_path.name) for sample in samples] == [
        ("helen-test", "face.bmp"),
        ("afw", "1_1.png"),
        ("afw", "2_1.png"),
    ]
    image, points = samples[0].load()
    assert image.shape == (32, 32, 3)
    # Four decimals are written.
    np.testing.assert_allclose(points, POINTS, rtol=0, atol=1e-4)


def test_image_without_annotation_is_no_sample(tmp_path: Path) -> None:
    folder = make_part(tmp_path, "ibug", ["face"])
    write_image(folder / "other.png", np.zeros((4, 4, 3), np.uint8))
    assert len(find_samples(tmp_path, ["ibug"])) == 1


def test_annotation_without_image(tmp_path: Path) -> None:
    folder = make_part(tmp_path, "ibug", ["face"])
    (folder / "face.png").unlink()
    with pytest.raises(DataError, match=r"face\.pts: has no image"):
        find_samples(tmp_path, ["ibug"])


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
