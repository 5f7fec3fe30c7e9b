"""Corrections by hand: carried by measured motion, joined, faded, kept in files and undone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import steadyface
from steadyface.cli import main
from steadyface.correction import Correction, correct_points, corrections_of, read_corrections
from steadyface.correction.carrying import FadingConfig
from steadyface.demo import portrait
from steadyface.errors import ConfigError, DataError
from steadyface.images import write_image
from steadyface.tracks import Tracks
from steadyface.video import VideoWriter

SCENE = replace(portrait(), width=640, height=480, zoom=1.7, seconds=61 / 30)
MIDDLE = 30
POINTS = (8, 21, 30, 36, 54)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "portrait.mp4"
    with VideoWriter(path, SCENE.width, SCENE.height, SCENE.fps) as writer:
        for frame in SCENE:
            writer.write(frame.image, frame.seconds)
    return path


@pytest.fixture(scope="module")
def tracks(clip: Path) -> Tracks:
    return steadyface.track(clip)


def moved(tracks: Tracks, frame: int, point: int, by: float = 10.0) -> Correction:
    """A point moved by some px, to where other skin is."""
    x, y = tracks.points[frame, point].tolist()
    return Correction(frame, 0, point, x - 0.6 * by, y - 0.8 * by)


def true_path(tracks: Tracks, correction: Correction) -> np.ndarray:
    """Path of the place in the still that a correction names, image px."""
    maps = [SCENE.to_frame(float(seconds)) for seconds in tracks.seconds]
    place = maps[correction.frame].inverse(np.array([[correction.x, correction.y]]))
    return np.concatenate([to_frame(place) for to_frame in maps])


def apart(corrected: Tracks, path: np.ndarray, point: int) -> np.ndarray:
    assert corrected.corrected_points is not None
    return np.asarray(np.linalg.norm(corrected.corrected_points[:, point] - path, axis=1))


class TestMotion:
    def test_a_correction_is_carried_along_the_true_path(self, clip: Path, tracks: Tracks) -> None:
        given = [moved(tracks, MIDDLE, point) for point in POINTS]
        corrected = correct_points(tracks, given, clip)
        for each in given:
            error = apart(corrected, true_path(tracks, each), each.point)
            assert error[MIDDLE] < 1e-3  # float32
            assert error.max() < 1.0  # 30 frames later and before

    def test_only_frames_that_change_are_read(self, clip: Path, tracks: Tracks) -> None:
        config, read = FadingConfig(whole=1.0, gone=3.0, drift=0.7), list[int]()
        given = [moved(tracks, MIDDLE, 30)]
        correct_points(tracks, given, clip, config=config, progress=lambda done, _: read.append(done))
        assert len(read) == 2 * config.reach + 1
        correct_points(tracks, given, clip, config=config, progress=True)

    def test_other_points_and_layers_stay(self, clip: Path, tracks: Tracks) -> None:
        corrected = correct_points(tracks, [moved(tracks, MIDDLE, 30)], clip)
        others = [point for point in range(68) if point != 30]
        assert corrected.corrected_points is not None
        np.testing.assert_array_equal(corrected.corrected_points[:, others], tracks.points[:, others])
        np.testing.assert_array_equal(corrected.points, tracks.points)
        np.testing.assert_array_equal(corrected.raw_points, tracks.raw_points)

    def test_it_meets_the_next_one(self, clip: Path, tracks: Tracks) -> None:
        first, second = moved(tracks, 10, 30, 10.0), moved(tracks, 50, 30, -10.0)
        corrected = correct_points(tracks, [first, second], clip)
        assert apart(corrected, true_path(tracks, first), 30)[:11].max() < 1.0
        assert apart(corrected, true_path(tracks, second), 30)[50:].max() < 1.0
        assert corrected.corrected_points is not None
        steps = np.linalg.norm(
            np.diff(corrected.corrected_points[:, 30] - tracks.points[:, 30], axis=0), axis=1
        )
        assert steps.max() < 2.5  # from the one to the other by and by, not in one jump of 20 px

    def test_it_fades_to_the_stabilised_points(self, clip: Path, tracks: Tracks) -> None:
        config = FadingConfig(whole=1.0, gone=3.0, drift=0.7)
        corrected = correct_points(tracks, [moved(tracks, MIDDLE, 30)], clip, config=config)
        left = apart(corrected, tracks.points[:, 30], 30)
        assert config.reach < MIDDLE
        assert left[MIDDLE] == pytest.approx(10.0, abs=1e-3)
        assert (left[MIDDLE + config.reach + 1 :] == 0).all()
        assert (left[: MIDDLE - config.reach] == 0).all()
        assert np.diff(left[MIDDLE:]).max() < 0.5

    def test_a_gap_ends_it(self, clip: Path, tracks: Tracks) -> None:
        held = tracks.held.copy()
        held[40] = True
        gappy = replace(tracks, held=held)
        left = apart(correct_points(gappy, [moved(tracks, MIDDLE, 30)], clip), tracks.points[:, 30], 30)
        assert left[39] > 5
        assert (left[40:] == 0).all()

    def test_photographs_are_corrected_alone(self, clip: Path, tracks: Tracks) -> None:
        alone = replace(tracks, meta={**tracks.meta, "options": {"independent": True}})
        left = apart(correct_points(alone, [moved(tracks, MIDDLE, 30)], clip), tracks.points[:, 30], 30)
        assert np.flatnonzero(left).tolist() == [MIDDLE]


class TestList:
    @pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
    def test_is_kept_in_files_with_its_layer(
        self, clip: Path, tracks: Tracks, tmp_path: Path, suffix: str
    ) -> None:
        given = [moved(tracks, MIDDLE, 30), moved(tracks, MIDDLE, 36)]
        corrected = correct_points(tracks, given, clip)
        found = Tracks.load(corrected.save(tmp_path / f"clip.{suffix}"))
        assert found == corrected
        assert corrections_of(found) == given

    @pytest.mark.usefixtures("unannotated")
    def test_numbers_of_numpy_are_kept_too(self, clip: Path, tracks: Tracks, tmp_path: Path) -> None:
        frame, face, x, y = tracks.frame[30], tracks.face[30], *tracks.points[30, 8]
        given = Correction(frame=frame, face=face, point=np.int64(8), x=x, y=y)
        assert given == Correction(30, 0, 8, float(x), float(y))
        corrected = correct_points(tracks, [given], clip)
        for suffix in ("npz", "csv", "json"):
            assert Tracks.load(corrected.save(tmp_path / f"clip.{suffix}")) == corrected

    def test_undoing_is_a_shorter_list(self, clip: Path, tracks: Tracks) -> None:
        given = [moved(tracks, MIDDLE, 30), moved(tracks, 10, 30)]
        both = correct_points(tracks, given, clip)
        assert correct_points(both, given[:1], clip) == correct_points(tracks, given[:1], clip)
        assert correct_points(both, [], clip) == tracks

    def test_the_last_of_one_place_counts(self, clip: Path, tracks: Tracks) -> None:
        first, last = moved(tracks, MIDDLE, 30, 4.0), moved(tracks, MIDDLE, 30, 9.0)
        assert correct_points(tracks, [first, last], clip) == correct_points(tracks, [last], clip)

    @pytest.mark.parametrize(("frame", "face"), [(9999, 0), (30, 7)])
    def test_a_face_that_is_not_there(self, clip: Path, tracks: Tracks, frame: int, face: int) -> None:
        with pytest.raises(ConfigError, match=f"face {face} is not seen in frame {frame}"):
            correct_points(tracks, [Correction(frame, face, 30, 1.0, 2.0)], clip)

    @pytest.mark.parametrize("position", [(1e9, 140.0), (-3000.0, 100.0)])
    def test_a_position_that_is_far_off_the_face(
        self, clip: Path, tracks: Tracks, position: tuple[float, float]
    ) -> None:
        with pytest.raises(ConfigError, match=r"frame 30, point 8: .* px from face 0; give px of the image"):
            correct_points(tracks, [Correction(30, 0, 8, *position)], clip)

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize("name", ["frame", "face", "point"])
    def test_a_name_is_no_number(self, name: str) -> None:
        numbers = {"frame": 3, "face": 0, "point": 36, name: "right_eye_0"}
        with pytest.raises(ConfigError, match=f"^{name} must be a whole number, got 'right_eye_0'$"):
            Correction(**numbers, x=1.0, y=2.0)  # type: ignore[arg-type]

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize("value", ["a", None, [1.0]])
    def test_a_position_is_no_number(self, value: object) -> None:
        with pytest.raises(ConfigError, match=r"^y must be a number, got "):
            Correction(30, 0, 8, 1.0, value)  # type: ignore[arg-type]

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"tracks": None}, "tracks must be of Tracks.of_points or Tracks.load, got NoneType"),
            ({"corrections": None}, "corrections must be a list of Correction, got NoneType"),
            (
                {"corrections": Correction(0, 0, 8, 1.0, 2.0)},
                "corrections must be a list of .*, got Correction",
            ),
            ({"corrections": [(0, 0, 8, 1.0, 2.0)]}, "each of corrections must be a Correction, got tuple"),
            ({"clip": None}, "clip must be a path, got NoneType"),
            ({"config": 3}, "config must be a FadingConfig, got int"),
            ({"fps": "a"}, "fps must be a number, got 'a'"),
        ],
    )
    def test_arguments_of_another_kind_are_named(
        self, clip: Path, tracks: Tracks, change: dict[str, object], message: str
    ) -> None:
        given: dict[str, object] = {"tracks": tracks, "corrections": [], "clip": clip}
        with pytest.raises(ConfigError, match=f"^{message}$"):
            correct_points(**(given | change))  # type: ignore[arg-type]

    def test_a_clip_of_fewer_frames_is_told(self, tracks: Tracks, tmp_path: Path) -> None:
        other = tmp_path / "one.png"
        write_image(other, next(iter(SCENE)).image)
        meta = {name: value for name, value in tracks.meta.items() if name not in ("source", "input")}
        with pytest.raises(DataError, match=r"^the table: holds points of 61 frames, and .*one\.png has 1$"):
            correct_points(replace(tracks, meta=meta), [moved(tracks, 0, 30)], other)

    def test_another_clip_is_refused(self, tracks: Tracks, tmp_path: Path) -> None:
        other = tmp_path / "portrait.mp4"
        with VideoWriter(other, SCENE.width, SCENE.height, SCENE.fps) as writer:
            for frame in replace(SCENE, seconds=0.1):
                writer.write(frame.image, frame.seconds)
        with pytest.raises(DataError, match="holds tracks of another"):
            correct_points(tracks, [moved(tracks, MIDDLE, 30)], other)

    @pytest.mark.parametrize("values", [(68, 1.0, 2.0), (-1, 1.0, 2.0), (3, np.nan, 2.0)])
    def test_no_points_are_refused(self, values: tuple[int, float, float]) -> None:
        with pytest.raises(ConfigError, match="point"):
            Correction(0, 0, *values)

    @pytest.mark.parametrize(
        "text",
        ["", "[]", '{"corrections": [{"frame": 1}]}', '{"corrections": [[1, 2]]}', '{"corrections": 3}'],
    )
    def test_a_file_of_something_else(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "corrections.json"
        path.write_text(text)
        with pytest.raises(DataError, match=r"corrections\.json: not a file of corrections"):
            read_corrections(path)


class TestCommand:
    def run(self, *arguments: object) -> int:
        with pytest.raises(SystemExit) as caught:
            main(["correct", *map(str, arguments)])
        assert isinstance(caught.value.code, int)
        return caught.value.code

    def test_corrects_and_undoes(self, clip: Path, tracks: Tracks, tmp_path: Path) -> None:
        path = tracks.save(tmp_path / "portrait.npz")
        each = moved(tracks, MIDDLE, 36)
        place = ("--frame", MIDDLE, "--point", "right_eye_0", "--to", each.x, each.y)
        assert self.run(path, clip, *place) == 0
        assert Tracks.load(path) == correct_points(tracks, [each], clip)
        assert self.run(path, clip, "--undo", "--out", tmp_path / "undone.csv") == 0
        assert Tracks.load(tmp_path / "undone.csv").corrected_points is None
        assert corrections_of(Tracks.load(path)) == [each]

    def test_a_pages_file_is_added(self, clip: Path, tracks: Tracks, tmp_path: Path) -> None:
        given = [moved(tracks, MIDDLE, 30), moved(tracks, 10, 36)]
        path = correct_points(tracks, given[:1], clip).save(tmp_path / "portrait.npz")
        file = tmp_path / "corrections.json"
        file.write_text(json.dumps({"corrections": [given[1].values()]}))
        assert self.run(path, clip, "--corrections", file, "--quiet") == 0
        assert corrections_of(Tracks.load(path)) == given

    def test_a_file_without_corrections_is_told(
        self, clip: Path, tracks: Tracks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "empty.json").write_text('{"corrections": []}')
        path = tracks.save(tmp_path / "portrait.npz")
        assert self.run(path, clip, "--corrections", tmp_path / "empty.json") == 1
        assert "empty.json holds no correction" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (("--frame", 3), "go together"),
            (("--frame", 3, "--point", "nose", "--to", 1, 2), "unknown point 'nose'"),
            (("--frame", 3, "--point", 99, "--to", 1, 2), "point must be 0 to 67, got 99"),
            (("--undo",), "no correction to undo"),
            (("--corrections", "none.json"), "none.json: No such file"),
        ],
    )
    def test_what_cannot_be_done_is_one_line(
        self,
        clip: Path,
        tracks: Tracks,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        arguments: tuple[object, ...],
        problem: str,
    ) -> None:
        path = tracks.save(tmp_path / "portrait.npz")
        before = path.read_bytes()
        assert self.run(path, clip, *arguments) == 1
        error = capsys.readouterr().err
        assert problem in error
        assert error.count("\n") == 1
        assert path.read_bytes() == before
