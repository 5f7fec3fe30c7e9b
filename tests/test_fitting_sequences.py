"""Sequences with known truth: errors that the network made, motion that was seen, and nothing done twice."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scenes
from talking_scenes import STIFF, landmarker, path, scene, shut_face

from steadyface import markup
from steadyface.datasets.annotated_videos import find_300vw
from steadyface.datasets.three_hundred_w import Sample
from steadyface.demo import portrait
from steadyface.errors import ConfigError, DataError, VideoError
from steadyface.fitting import sequences
from steadyface.fitting.fit import Pair
from steadyface.fitting.sequences import (
    follow_known,
    held_out,
    is_hard,
    load_pair,
    save_pair,
    with_constant_bias,
    write_sequences,
)
from steadyface.geometry import bounding_box, face_size
from steadyface.images import write_image
from steadyface.landmarker import Landmarker
from steadyface.metrics import jitter, nrmse_interocular
from steadyface.motion import Displacements, MotionSequence
from steadyface.pipeline import track
from steadyface.pts import write_pts

CLIP = 10
STILLS = ("one", "man")  # a name is its own seed: these are drawn small, so that they are soon followed
ANNOTATED = [0, 1, 2, 3, *range(5, 15)]  # frames of the video: a stretch too short, and one of `CLIP`


@dataclass(frozen=True)
class Material:
    """Inputs of every kind, and what was made of them."""

    stills: list[Sample]
    clip: Path
    videos: Path
    out: Path
    lines: list[str]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    root = tmp_path_factory.mktemp("sequences")
    stills = make_stills(root / "faces", STILLS)
    clip = scenes.write_clip(root / "sway.mp4", scenes.frames(CLIP + 2))
    videos, out, lines = make_300vw(root / "300vw", ANNOTATED), root / "out", []
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        videos_there = find_300vw(videos, "train")
        write_sequences(out, stills, [clip], videos_there, landmarker=landmarker(), report=lines.append)
    return Material(stills, clip, videos, out, lines)


def shorten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sequences, "CLIP", CLIP)
    patch.setattr(sequences, "_STILL_SECONDS", 0.4)


def make_stills(folder: Path, names: tuple[str, ...]) -> list[Sample]:
    folder.mkdir(parents=True)
    for name in names:
        write_image(folder / f"{name}.png", portrait().still)
        write_pts(folder / f"{name}.pts", shut_face())
    return [Sample(folder / f"{name}.png", folder / f"{name}.pts", "folder") for name in names]


def portrait_sample() -> Sample:
    """Annotated portrait that is in memory only."""

    class InMemory(Sample):
        def load(self) -> tuple[np.ndarray, np.ndarray]:
            return portrait().still, shut_face()

    return InMemory(Path("portrait.png"), Path("portrait.pts"), "folder")


def make_300vw(root: Path, annotated: list[int]) -> Path:
    """A video of the portrait under a known motion, of which some frames (from 0) are annotated."""
    (root / "001" / "annot").mkdir(parents=True)
    count = max(annotated) + 1
    scenes.write_clip(root / "clip.mp4", scenes.frames(count)).rename(root / "001" / "vid.avi")
    for index in annotated:
        write_pts(root / "001" / "annot" / f"{index + 1:06d}.pts", moved_portrait(index))
    return root


def moved_portrait(index: int) -> np.ndarray:
    return scenes.scene().to_frame(index / scenes.FPS)(shut_face())


def save_still(folder: Path, frames: int = 12) -> Pair:
    """A still's sequence that needed no network."""
    rng = np.random.default_rng(0)
    truth = np.tile(shut_face(), (frames, 1, 1))
    pair = Pair(truth + rng.normal(0, 1, truth.shape), truth, np.full((frames, 68), 0.75))
    folder.mkdir(exist_ok=True)
    save_pair(pair, folder / "still_a_0.npz")
    return pair


def times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}


class TestWriteSequences:
    def test_files_and_lines(self, material: Material) -> None:
        names = ["still_folder_one", "still_folder_man", "clip_sway", "300vw_001"]
        expected = {f"{name}_0.npz" for name in names} | {f"{name}.done" for name in names}
        assert {file.name for file in material.out.iterdir()} == expected
        frames = [12, 12, CLIP, CLIP]
        assert material.lines == [f"{n}: 1 sequence, {k} frames" for n, k in zip(names, frames, strict=True)]

    @pytest.mark.parametrize(
        ("name", "frames", "fps"),
        [("still_folder_man", 12, 30.0), ("clip_sway", CLIP, scenes.FPS), ("300vw_001", CLIP, scenes.FPS)],
    )
    def test_a_sequence_is_complete(self, material: Material, name: str, frames: int, fps: float) -> None:
        pair = load_pair(material.out / f"{name}_0.npz")
        assert pair.scores is not None
        assert pair.raw.shape == pair.truth.shape == (frames, 68, 2)
        assert pair.scores.shape == (frames, 68)
        assert pair.scores.min() >= 0
        assert pair.scores.max() <= 1
        assert pair.fps == pytest.approx(fps)
        assert np.isfinite(pair.raw).all()
        assert np.isfinite(pair.truth).all()
        assert pair.network == landmarker().name

    def test_half_of_the_stills_wink_with_either_eye(self) -> None:
        drawn = [sequences._scene(portrait_sample(), np.random.default_rng(seed)).eyes for seed in range(40)]
        counts = [drawn.count(eyes) for eyes in (markup.EYES, *((eye,) for eye in markup.EYES))]
        assert sum(counts) == 40
        assert 12 <= counts[0] <= 28
        assert min(counts[1:]) >= 4

    @pytest.mark.parametrize("name", ["still_folder_man", "still_folder_one", "300vw_001"])
    def test_the_network_sees_nearly_the_truth_and_is_not_off_on_average(
        self, material: Material, name: str
    ) -> None:
        pair = load_pair(material.out / f"{name}_0.npz")
        assert nrmse_interocular(pair.raw, pair.truth).mean() < 3
        assert jitter(pair.raw) > jitter(pair.truth)
        error, size = pair.raw - pair.truth, face_size(pair.truth).mean()
        # The mean error is zero as the head turns; within the frame what it turns by is left of it.
        assert np.abs(error.mean(axis=0)).max() < 0.1 * np.abs(error).max()
        assert np.abs(error).max() < 0.15 * size

    def test_stills_differ_in_size_and_motion(self, material: Material) -> None:
        one, man = (load_pair(material.out / f"still_folder_{name}_0.npz").truth for name in STILLS)
        assert not np.allclose(man, one, atol=1)

    def test_a_clip_moves_as_it_was_seen_to(self, material: Material) -> None:
        motion = load_pair(material.out / "clip_sway_0.npz").truth
        seen = track(scenes.timed(scenes.frames(CLIP)), stabilizer="none").raw_points.astype(float)
        assert nrmse_interocular(motion, seen).mean() < 2
        # Ten frames leave little room to smooth: the ends of the window are a half of them.
        assert jitter(motion) < 0.7 * jitter(seen)

    def test_a_clip_has_the_errors_of_a_still_at_its_own_size(self, material: Material) -> None:
        pair = load_pair(material.out / "clip_sway_0.npz")
        found = []
        for name in STILLS:
            lender = load_pair(material.out / f"still_folder_{name}_0.npz")
            assert lender.scores is not None
            grow = face_size(pair.truth).mean() / face_size(lender.truth).mean()
            for first in range(len(lender.raw) - CLIP + 1):
                lent = slice(first, first + CLIP)
                error = grow * (lender.raw - lender.truth)[lent]
                # Float64 sums at 500 px.
                if np.abs(pair.raw - pair.truth - error).max() < 1e-9:
                    found.append(np.array_equal(pair.scores, lender.scores[lent]))
        assert found == [True]

    def test_a_video_has_its_annotation_as_truth_but_for_a_constant(self, material: Material) -> None:
        pair = load_pair(material.out / "300vw_001_0.npz")
        annotated = np.stack([moved_portrait(index) for index in range(5, 15)])
        # Four decimals are written.
        np.testing.assert_allclose(pair.truth, with_constant_bias(annotated, pair.raw), rtol=0, atol=1e-3)

    def test_repeated_it_does_nothing(
        self, material: Material, short: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("the network is asked again")

        before, lines = times(material.out), []
        monkeypatch.setattr(Landmarker, "predict_regions", refuse)
        write_sequences(
            material.out,
            material.stills,
            [material.clip],
            find_300vw(material.videos, "train"),
            landmarker=landmarker(),
            report=lines.append,
        )
        assert times(material.out) == before
        assert lines == []

    def test_interrupted_between_stills_it_goes_on_with_the_next(
        self, material: Material, tmp_path: Path, short: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out, lines, others = tmp_path / "out", [], ("still_folder_man*", "clip*", "300vw*")
        shutil.copytree(material.out, out, ignore=shutil.ignore_patterns(*others))
        before = times(out)
        with monkeypatch.context() as patch:
            patch.setattr(np, "savez_compressed", stop_halfway)
            with pytest.raises(KeyboardInterrupt):
                write_sequences(out, material.stills, landmarker=landmarker(), report=lines.append)
        assert {name for name in times(out) if not name.endswith(".part")} == set(before)
        write_sequences(out, material.stills, landmarker=landmarker(), report=lines.append)
        assert lines == ["still_folder_man: 1 sequence, 12 frames"]
        assert before.items() <= times(out).items()
        assert not list(out.glob("*.part"))
        again = load_pair(out / "still_folder_man_0.npz")
        np.testing.assert_array_equal(again.truth, load_pair(material.out / "still_folder_man_0.npz").truth)

    def test_stills_under_hardships(
        self, material: Material, tmp_path: Path, short: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sequences, "_CROSSING", (0.1, 0.2))
        monkeypatch.setattr(sequences, "_RECOVERY", 0.01)
        out, lines = tmp_path / "out", []
        write_sequences(out, material.stills[1:], landmarker=landmarker(), hard=True, report=lines.append)
        names = ["still_folder_man", "hard_folder_man"]
        assert lines == [f"{name}: 1 sequence, 12 frames" for name in names]
        plain, hard = (load_pair(out / f"{name}_0.npz") for name in names)
        assert [is_hard(out / f"{name}_0.npz") for name in names] == [False, True]
        np.testing.assert_array_equal(plain.truth, load_pair(material.out / "still_folder_man_0.npz").truth)
        error = np.linalg.norm(hard.raw - hard.truth, axis=-1).mean(axis=1)
        # Frames 3 to 8 are those of the passage; the constant error is not theirs.
        assert error[4:8].max() > 2 * error[[0, 1, 2, 10, 11]].max()
        assert hard.motion is not None
        assert hard.motion.measured[1:].all()

    def test_interrupted_within_a_video_it_makes_all_of_that_video(
        self, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sequences, "CLIP", 4)
        videos, lines = find_300vw(make_300vw(tmp_path / "300vw", [*range(8)]), "train"), []
        with monkeypatch.context() as patch:
            patch.setattr(sequences, "save_pair", stop_after_one())
            with pytest.raises(KeyboardInterrupt):
                write_sequences(tmp_path / "out", videos=videos, landmarker=landmarker(), report=lines.append)
        assert set(times(tmp_path / "out")) == {"300vw_001_0.npz"}
        write_sequences(tmp_path / "out", videos=videos, landmarker=landmarker(), report=lines.append)
        assert lines == ["300vw_001: 2 sequences, 8 frames"]
        assert set(times(tmp_path / "out")) == {"300vw_001_0.npz", "300vw_001_1.npz", "300vw_001.done"}

    def test_what_is_too_short_is_done_but_gives_nothing(
        self, tmp_path: Path, short: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines: list[str] = []
        videos = find_300vw(make_300vw(tmp_path / "300vw", [0, 1, 2]), "train")
        write_sequences(tmp_path / "out", videos=videos, landmarker=landmarker(), report=lines.append)
        assert lines == ["300vw_001: 0 sequences, 0 frames"]
        assert set(times(tmp_path / "out")) == {"300vw_001.done"}

    def test_a_clip_without_a_face_gives_nothing(self, tmp_path: Path, short: None) -> None:
        lines: list[str] = []
        save_still(tmp_path / "out")
        clip = scenes.write_clip(tmp_path / "empty.mp4", scenes.empty(3))
        write_sequences(tmp_path / "out", clips=[clip], landmarker=landmarker(), report=lines.append)
        assert lines == ["clip_empty: 0 sequences, 0 frames"]

    def test_a_cut_ends_a_motion(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sequences, "CLIP", 9)
        save_still(tmp_path / "out")
        images = scenes.frames(5)
        moved = [np.roll(image, 25, axis=1) for image in images[::-1]]
        clip = scenes.write_clip(tmp_path / "cut.mp4", [*images, *moved])
        lines: list[str] = []
        write_sequences(tmp_path / "out", clips=[clip], landmarker=landmarker(), report=lines.append)
        assert lines == ["clip_cut: 0 sequences, 0 frames"]

    def test_clips_need_stills(self, material: Material, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="need the errors of stills"):
            write_sequences(tmp_path, clips=[material.clip], landmarker=landmarker())
        assert list(tmp_path.iterdir()) == []

    def test_stills_of_an_earlier_run_will_do(self, tmp_path: Path) -> None:
        save_still(tmp_path / "out")
        with pytest.raises(VideoError, match=r"none\.mp4"):
            write_sequences(tmp_path / "out", clips=[tmp_path / "none.mp4"], landmarker=landmarker())

    def test_an_annotation_of_a_frame_that_is_missing_is_refused(self, tmp_path: Path, short: None) -> None:
        root = make_300vw(tmp_path / "300vw", [0, 1, 2])
        write_pts(root / "001" / "annot" / "000009.pts", shut_face())
        with pytest.raises(DataError, match="beyond the last frame"):
            write_sequences(tmp_path / "out", videos=find_300vw(root, "train"), landmarker=landmarker())
        assert not list((tmp_path / "out").iterdir())

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DataError, match="file: cannot be made"):
            write_sequences(tmp_path / "file", landmarker=landmarker())


def stop_halfway(file: object, **_: object) -> None:
    file.write(b"PK")  # type: ignore[attr-defined]
    raise KeyboardInterrupt


def stop_after_one() -> object:
    saved: list[Path] = []

    def save(pair: Pair, path: Path) -> None:
        if saved:
            raise KeyboardInterrupt
        save_pair(pair, path)
        saved.append(path)

    return save


class TestFollowKnown:
    def test_the_network_sees_every_frame(self) -> None:
        """Raw points that measured motion has carried would be no network's."""
        frames = scenes.timed([scenes.frames(1)[0]] * 30)
        network, seen = landmarker(), []
        predict = network.predict_regions
        network.predict_regions = lambda image, regions: seen.append(len(regions)) or predict(image, regions)  # type: ignore[method-assign,func-returns-value]
        follow_known(frames, moved_portrait(0), network)
        assert sum(seen) == len(frames) + 1  # once more where it was found

    def test_it_needs_no_detector_to_find_the_face(self) -> None:
        frames = scenes.timed(scenes.frames(3))
        raw, scores, motion = follow_known(frames, moved_portrait(0), landmarker())
        assert raw.shape == (3, 68, 2)
        assert scores.shape == (3, 68)
        assert motion.measured.tolist() == [False, True, True]
        moved = motion.displacement[1:] - np.stack(
            [moved_portrait(k + 1) - moved_portrait(k) for k in (0, 1)]
        )
        # A tenth of a crop px.
        assert np.median(np.linalg.norm(moved, axis=-1)) < 0.1
        truth = np.stack([moved_portrait(index) for index in range(3)])
        assert nrmse_interocular(raw, truth).mean() < 4

    def test_a_lost_face_is_an_error(self) -> None:
        frames = scenes.timed(scenes.empty(1))
        away = moved_portrait(0) + 2000
        assert bounding_box(away).min() > max(scenes.WIDTH, scenes.HEIGHT)
        with pytest.raises(DataError, match=r"lost at 0\.00 s"):
            follow_known(frames, away, landmarker())


class TestPairs:
    @pytest.mark.parametrize("scored", [True, False])
    def test_save_and_load_are_inverse(self, tmp_path: Path, scored: bool) -> None:
        rng = np.random.default_rng(0)
        raw, truth = rng.uniform(0, 1000, (2, 5, 68, 2))
        scores = rng.uniform(0, 1, (5, 68)).astype("float32").astype(float) if scored else None
        save_pair(Pair(raw, truth, scores, 29.97, network="tiny-int8"), tmp_path / "a_0.npz")
        pair = load_pair(tmp_path / "a_0.npz")
        np.testing.assert_array_equal(pair.raw, raw)
        np.testing.assert_array_equal(pair.truth, truth)
        assert (pair.scores is not None) == scored
        if scored:
            np.testing.assert_array_equal(pair.scores, scores)
        assert pair.fps == 29.97
        assert pair.motion is None
        assert pair.network == "tiny-int8"
        assert [file.name for file in tmp_path.iterdir()] == ["a_0.npz"]

    def test_files_of_earlier_versions_do_not_tell_the_network(self, tmp_path: Path) -> None:
        save_pair(Pair(*np.zeros((2, 5, 68, 2)), network="tiny-int8"), path := tmp_path / "a_0.npz")
        with np.load(path) as arrays:
            np.savez(path, **{name: array for name, array in arrays.items() if name != "network"})
        assert load_pair(path).network == ""

    def test_displacements_are_kept(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        raw, truth = rng.uniform(0, 1000, (2, 3, 68, 2))
        step = Displacements(
            rng.normal(size=(68, 2)), np.tile(np.eye(2), (68, 1, 1)), rng.uniform(size=68) < 0.5
        )
        motion = MotionSequence.pack([None, step, None])
        save_pair(Pair(raw, truth, motion=motion), tmp_path / "a_0.npz")
        kept = load_pair(tmp_path / "a_0.npz").motion
        assert kept is not None
        for name, array in motion.as_arrays().items():
            np.testing.assert_array_equal(kept.as_arrays()[name], array)

    @pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
    def test_other_files_are_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(DataError, match="not a sequence"):
            load_pair(tmp_path / "bad.npz")

    def test_a_damaged_file_is_refused(self, tmp_path: Path) -> None:
        save_still(tmp_path)
        path = tmp_path / "still_a_0.npz"
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], whole[:200] + bytes(200) + whole[400:]):
            path.write_bytes(damaged)
            with pytest.raises(DataError, match="not a sequence"):
                load_pair(path)

    @pytest.mark.parametrize(
        "change",
        [
            {"raw": None},
            {"fps": None},
            {"fps": np.ones(2)},
            {"truth": np.zeros((4, 68, 2))},
            {"truth": np.zeros((5, 66, 2)), "raw": np.zeros((5, 66, 2))},
            {"scores": np.zeros((5, 66))},
            {"raw": np.array(3.0)},
            {"motion_valid": np.zeros((5, 68), bool)},
            MotionSequence.pack([None] * 4).as_arrays(),
            {"raw": np.array([{}], object)},
        ],
    )
    def test_other_arrays_are_refused(self, tmp_path: Path, change: dict[str, np.ndarray | None]) -> None:
        arrays: dict[str, object] = {"raw": np.zeros((5, 68, 2)), "truth": np.zeros((5, 68, 2)), "fps": 30.0}
        arrays = {name: value for name, value in (arrays | change).items() if value is not None}
        np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="not a sequence"):
            load_pair(tmp_path / "bad.npz")

    def test_a_missing_file_and_an_unwritable_one(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            load_pair(tmp_path / "none.npz")
        pair = save_still(tmp_path)
        with pytest.raises(DataError, match="cannot be written: No such file"):
            save_pair(pair, tmp_path / "none" / "a.npz")


class TestHeldOut:
    def test_the_same_ones_always(self) -> None:
        names = ["still_afw_1634816_1", "still_lfpw-train_image_0001", "clip_d18", "300vw_002", "300vw_003"]
        assert [held_out(Path(f"{name}_0.npz")) for name in names] == [True, False, False, False, True]

    def test_all_sequences_of_a_source_together_wherever_they_lie(self) -> None:
        for source in range(200):
            parts = {held_out(Path(folder) / f"clip_{source}_{n}.npz") for folder in "ab" for n in range(12)}
            assert len(parts) == 1

    def test_a_still_and_its_hardships_together(self) -> None:
        for source in range(50):
            still, hard = (held_out(Path(f"{kind}_afw_{source}_0.npz")) for kind in ("still", "hard"))
            assert still == hard

    def test_about_one_in_five(self) -> None:
        share = np.mean([held_out(Path(f"still_afw_{source}_0.npz")) for source in range(5000)])
        # Six standard deviations of 5000 draws.
        assert share == pytest.approx(0.2, abs=6 * 0.4 / np.sqrt(5000))


def test_a_constant_bias_turns_and_grows_with_the_head() -> None:
    life = scene(**STIFF)
    truth = path(life)
    offsets = np.random.default_rng(0).normal(0, 2, (68, 2))
    turns = np.stack([life.to_frame(k / 30).matrix[:, :2] for k in range(len(truth))])
    raw = truth + offsets @ turns.mT
    # A rigid head: the bias found is the one put in.
    np.testing.assert_allclose(with_constant_bias(truth, raw), raw, rtol=0, atol=1e-9)
    noise = np.random.default_rng(1).normal(0, 1, raw.shape)
    left = with_constant_bias(truth, raw + noise) - raw
    # The mean of 150 draws of 1 px.
    assert np.sqrt((left**2).mean()) == pytest.approx(1 / np.sqrt(150), rel=0.1)
