"""Annotated videos: each frame gets its own points, and a frame that is missing is said."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import av
import numpy as np
import pytest
from scenes import write_clip

from steadyface.datasets.annotated_videos import (
    SCENARIO_1,
    SCENARIO_2,
    SCENARIO_3,
    SCENARIOS,
    TRAINING,
    AnnotatedVideo,
    find_300vw,
    talking_face,
)
from steadyface.datasets.broken_frames import BROKEN_FRAMES
from steadyface.errors import ConfigError, DataError, VideoError
from steadyface.images import write_image
from steadyface.pts import write_pts
from steadyface.video import open_frames

FRAMES = 6


def grey(index: int) -> np.ndarray:
    """An image whose level is ten times its frame's index, plus 50."""
    return np.full((48, 64, 3), 50 + 10 * index, np.uint8)


def face(index: int) -> np.ndarray:
    """Points that say which frame they are of."""
    return np.linspace(0, 30, 136).reshape(68, 2) + index


def index_of(image: np.ndarray) -> int:
    return round((float(image.mean()) - 50) / 10)


def make_video(folder: Path, annotated: list[int]) -> Path:
    """A video as in 300-VW, of which some frames (from 0) are annotated."""
    (folder / "annot").mkdir(parents=True)
    # FFmpeg goes by the content, not by the name.
    write_clip(folder / "vid.mp4", map(grey, range(FRAMES))).rename(folder / "vid.avi")
    for index in annotated:
        write_pts(folder / "annot" / f"{index + 1:06d}.pts", face(index))
    return folder


def lose_a_frame(clip: Path, index: int) -> None:
    """Overwrite a frame's packet with zeros."""
    with av.open(str(clip)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    start, size = packets[index]
    data = bytearray(clip.read_bytes())
    data[start : start + size] = bytes(size)
    clip.write_bytes(data)


def make_talking_face(root: Path, numbers: list[int]) -> Path:
    for folder in ("images", "points"):
        (root / folder).mkdir(parents=True)
    for number in numbers:
        write_image(root / "images" / f"franck_{number:05d}.png", grey(number))
        # `write_pts` counts from 1, the Talking Face video from 0.
        write_pts(root / "points" / f"franck_{number:05d}.pts", face(number) - 1)
    return root


class TestLists:
    def test_counts(self) -> None:
        assert [len(SCENARIOS[key]) for key in ("train", 1, 2, 3)] == [50, 31, 19, 14]

    def test_no_video_is_in_two(self) -> None:
        for one, other in combinations((TRAINING, SCENARIO_1, SCENARIO_2, SCENARIO_3), 2):
            assert not set(one) & set(other)

    def test_names(self) -> None:
        assert all(len(name) == 3 and name.isdecimal() for names in SCENARIOS.values() for name in names)
        assert all(list(names) == sorted(set(names)) for names in SCENARIOS.values())


class TestBrokenFrames:
    def test_each_scenario_keeps_as_many_frames_as_papers_say(self) -> None:
        """Of the frames of the test videos, counted in the authors' own predictions."""
        frames, kept = (62_846, 32_872, 27_687), (62_135, 32_805, 26_338)
        for scenario in (1, 2, 3):
            broken = sum(len(BROKEN_FRAMES.get(name, ())) for name in SCENARIOS[scenario])
            assert frames[scenario - 1] - broken == kept[scenario - 1]
        assert not set(BROKEN_FRAMES) & set(TRAINING)

    def test_they_count_as_not_annotated(self, tmp_path: Path) -> None:
        make_video(tmp_path / "508", [0, 1])
        for name in ("000014.pts", "000147.pts"):
            (tmp_path / "508" / "annot" / name).write_text("whatever")
        video = find_300vw(tmp_path, 1)[0]
        assert video.points().keys() == {0, 1}
        assert [points is None for _, points in video] == [False, False, True, True, True, True]


class TestFind300VW:
    def test_what_is_there(self, tmp_path: Path) -> None:
        for name in ("516", "410", "001"):
            make_video(tmp_path / name, [0])
        assert [video.name for video in find_300vw(tmp_path, 3)] == ["410", "516"]
        assert [video.name for video in find_300vw(tmp_path, "train")] == ["001"]

    def test_nothing_there(self, tmp_path: Path) -> None:
        make_video(tmp_path / "001", [0])
        with pytest.raises(DataError, match=r"scenario 2.*203 208"):
            find_300vw(tmp_path, 2)

    @pytest.mark.parametrize("scenario", [0, 4, "test"])
    def test_unknown_scenario(self, tmp_path: Path, scenario: int | str) -> None:
        with pytest.raises(ConfigError, match=f"{scenario!r}.*train, 1, 2, 3"):
            find_300vw(tmp_path, scenario)


class TestIteration:
    def test_each_frame_has_its_points(self, tmp_path: Path) -> None:
        make_video(tmp_path / "114", [0, 1, 3, 4])
        video = find_300vw(tmp_path, 1)[0]
        for _ in range(2):
            shown = list(video)
            assert [index_of(frame.image) for frame, _ in shown] == list(range(FRAMES))
            assert [frame.index for frame, points in shown if points is None] == [2, 5]
            for frame, points in shown:
                if points is not None:
                    # Four decimals are written.
                    np.testing.assert_allclose(points, face(frame.index), rtol=0, atol=1e-4)

    def test_points_need_no_video(self, tmp_path: Path) -> None:
        (make_video(tmp_path / "114", [4, 0, 3]) / "vid.avi").unlink()
        video = find_300vw(tmp_path, 1)[0]
        found = video.points()
        assert list(found) == [0, 3, 4]
        for index, points in found.items():
            np.testing.assert_allclose(points, face(index), rtol=0, atol=1e-4)
        with pytest.raises(VideoError, match=r"vid\.avi"):
            list(video)

    def test_annotation_beyond_the_last_frame(self, tmp_path: Path) -> None:
        make_video(tmp_path / "114", [0, FRAMES - 1, FRAMES, FRAMES + 3])
        shown = []
        with pytest.raises(DataError, match=rf"000007\.pts: beyond the last frame.*after {FRAMES} frames"):
            shown.extend(find_300vw(tmp_path, 1)[0])
        assert find_300vw(tmp_path, 1)[0].points().keys() == {0, 5, 6, 9}

    def test_after_a_lost_frame_no_points_are_given(self, tmp_path: Path) -> None:
        lose_a_frame(make_video(tmp_path / "114", [0, 1, 3]) / "vid.avi", 2)
        shown = []
        with pytest.raises(DataError, match=r"000004\.pts: its frame is uncertain: .*damaged"):
            shown.extend(find_300vw(tmp_path, 1)[0])
        (tmp_path / "114" / "annot" / "000004.pts").unlink()
        assert len(list(find_300vw(tmp_path, 1)[0])) == FRAMES - 1

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("000000.pts", r"000000\.pts: before the first frame, which is number 1"),
            ("1.pts", "has the number of"),
            ("frame2.pts", "not NUMBER"),
        ],
    )
    def test_impossible_names(self, tmp_path: Path, name: str, said: str) -> None:
        write_pts(make_video(tmp_path / "114", [0]) / "annot" / name, face(0))
        video = find_300vw(tmp_path, 1)[0]
        with pytest.raises(DataError, match=said):
            video.points()
        with pytest.raises(DataError, match=said):
            next(iter(video))

    def test_no_annotations(self, tmp_path: Path) -> None:
        make_video(tmp_path / "114", [])
        with pytest.raises(DataError, match=r"annot: no \.pts files"):
            find_300vw(tmp_path, 1)[0].points()

    def test_broken_annotation_is_named_with_its_line(self, tmp_path: Path) -> None:
        write_pts(make_video(tmp_path / "114", [0]) / "annot" / "000002.pts", face(1)[:67])
        with pytest.raises(DataError, match=r"000002\.pts:3: 67 points"):
            find_300vw(tmp_path, 1)[0].points()


class TestTalkingFace:
    @pytest.mark.parametrize("first", [0, 3])
    def test_numbers_match(self, tmp_path: Path, first: int) -> None:
        numbers = list(range(first, first + 4))
        make_talking_face(tmp_path, numbers)
        (tmp_path / "images" / "._franck_00000.jpg").write_bytes(b"\0\5\x16\7")
        (tmp_path / "points" / "._franck_00000.pts").write_bytes(b"\0\5\x16\7")
        (tmp_path / "points" / f"franck_{first + 2:05d}.pts").unlink()
        shown = list(talking_face(tmp_path))
        assert [index_of(frame.image) for frame, _ in shown] == numbers
        assert [frame.seconds for frame, _ in shown] == [index / 25 for index in range(4)]
        assert shown[2][1] is None
        for frame, points in (shown[i] for i in (0, 1, 3)):
            assert points is not None
            np.testing.assert_allclose(points, face(frame.index + first), rtol=0, atol=1e-4)

    def test_missing_image_between(self, tmp_path: Path) -> None:
        make_talking_face(tmp_path, [0, 1, 3])
        with pytest.raises(DataError, match=r"franck_00003\.png: frame 2 is missing"):
            talking_face(tmp_path)

    @pytest.mark.parametrize(
        ("number", "said"), [(6, "no image of this number"), (1, "before the first frame, which is number 2")]
    )
    def test_annotation_without_image(self, tmp_path: Path, number: int, said: str) -> None:
        make_talking_face(tmp_path, [2, 3])
        write_pts(tmp_path / "points" / f"franck_{number:05d}.pts", face(0))
        with pytest.raises(DataError, match=rf"franck_0000{number}\.pts: {said}"):
            talking_face(tmp_path)

    def test_another_image(self, tmp_path: Path) -> None:
        make_talking_face(tmp_path, [0, 1])
        write_image(tmp_path / "images" / "still_00002.png", grey(2))
        with pytest.raises(DataError, match=r"still_00002\.png: .*franck_NUMBER"):
            talking_face(tmp_path)

    @pytest.mark.parametrize("folder", ["images", "points"])
    def test_nothing_there(self, tmp_path: Path, folder: str) -> None:
        make_talking_face(tmp_path, [0])
        for path in (tmp_path / folder).iterdir():
            path.unlink()
        with pytest.raises(DataError, match=f"{folder}: no "):
            talking_face(tmp_path)


def test_real_talking_face(data_dir: Path) -> None:
    if not (data_dir / "talking_face").is_dir():
        pytest.skip(f"no Talking Face video in {data_dir}")
    video: AnnotatedVideo = talking_face(data_dir / "talking_face")
    frame, points = next(iter(video))
    assert frame.image.shape == (576, 720, 3)
    with open_frames(video.source) as frames:
        assert frames.frame_count == 1000
    found = video.points()
    assert list(found) == list(range(1000))
    np.testing.assert_array_equal(points, found[0])
