"""Names by reference photographs: the folder, the evidence, and what carries a name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import people
import pytest
from people import at, walk

import steadyface
from steadyface.corpus.work import options_key
from steadyface.datasets.extra import find_extra
from steadyface.demo import portrait
from steadyface.drawing import draw_faces
from steadyface.errors import ConfigError, DataError
from steadyface.geometry import flip_points
from steadyface.identity import SIDE, IdentityEncoder, aligned_region
from steadyface.images import write_image
from steadyface.landmarker import Landmarker
from steadyface.markup import FLIP
from steadyface.options import TrackingOptions
from steadyface.picture import RgbPicture
from steadyface.tracking import NamingConfig, TrackedFace, Tracker
from steadyface.tracking.people import Namer, People, find_photographs
from steadyface.tracks import Tracks, TracksBuilder

ANNA, BORIS = np.eye(128)[:2]
SOMEBODY = np.eye(128)[2]


@cache
def encoder() -> IdentityEncoder:
    return IdentityEncoder("cpu", threads=1)


@cache
def landmarker() -> Landmarker:
    return Landmarker("tiny", threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs of the two people of `people`, the second in a folder of her own."""
    place = tmp_path / "people"
    (place / "boris").mkdir(parents=True)
    for index, name in enumerate(("anna.png", "boris/from the front.png")):
        positions = [None, None]
        positions[index] = (people.WIDTH / 2, people.HEIGHT / 2)
        write_image(place / name, people.picture(positions))
    (place / "notes.txt").write_text("not a photograph")
    return place


def names_at(faces: Iterable[TrackedFace], x: float) -> set[str | None]:
    return {face.name for face in faces if abs(face.points[:, 0].mean() - x) < people.FACE / 2}


class TestAlignment:
    def test_the_same_head_gives_the_same_square_wherever_it_is(self) -> None:
        """A similarity of the points is one of the square."""
        rng = np.random.default_rng(0)
        points = rng.normal([200, 100], 40, (68, 2))
        first = aligned_region(points)
        turn, scale, shift = 0.4, 1.7, np.array([30.0, -12.0])
        linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        other = aligned_region(points @ linear.T + shift)
        assert other.side == pytest.approx(scale * first.side)
        assert other.roll == pytest.approx(first.roll + turn)
        np.testing.assert_allclose([other.x, other.y], linear @ [first.x, first.y] + shift)

    def test_eyes_lie_above_the_mouth_in_the_crop(self) -> None:
        scene = portrait()
        box = np.array([*np.subtract(scene.centre, 55), *np.add(scene.centre, 55)])
        points = landmarker().predict(scene.still, box).points
        crop = aligned_region(points).to_crop(SIDE)(points)
        right, left = crop[36:42].mean(axis=0), crop[42:48].mean(axis=0)
        # a real face differs from the mean one by some per cent of the crop
        np.testing.assert_allclose(right, [0.317 * SIDE, 0.311 * SIDE], atol=0.06 * SIDE)
        np.testing.assert_allclose(left, [0.670 * SIDE, 0.311 * SIDE], atol=0.06 * SIDE)
        assert (crop[48:68, 1] > right[1]).all()


class TestEncoder:
    def test_descriptors_are_of_unit_length_and_do_not_tell_left_from_right(self) -> None:
        scene = portrait()
        box = np.array([*np.subtract(scene.centre, 55), *np.add(scene.centre, 55)])
        points = landmarker().predict(scene.still, box).points.astype(float)
        mirrored = flip_points(points, scene.still.shape[1], FLIP)
        [one] = encoder().describe(scene.still, [points])
        [other] = encoder().describe(np.ascontiguousarray(scene.still[:, ::-1]), [mirrored])
        assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
        assert one @ other > 0.98  # crops differ by a fraction of a px

    def test_no_face_gives_no_descriptor(self) -> None:
        assert encoder().describe(portrait().still, []).shape == (0, 128)

    def test_people_differ_more_than_photographs(self, data_dir: Path) -> None:
        """Of adults held out, pairs within three years pass the limit, and pairs of strangers do not."""
        samples = find_extra(data_dir / "extra", "fgnet")
        ages = np.load(data_dir / "extra/fgnet/points.npz")["age"]
        chosen = [
            (each, age)
            for each, age in zip(samples, ages.tolist(), strict=True)
            if age >= 16 and int(each.person) % 2 == 0
        ][:80]
        vectors, who, years = [], [], []
        for sample, age in chosen:
            image, _ = sample.load()
            points = landmarker().predict(image, np.array(sample.box)).points
            vectors.append(encoder().describe(image, [points])[0])
            who.append(sample.person)
            years.append(age)
        cosines, limit = np.array(vectors) @ np.array(vectors).T, NamingConfig().min_similarity
        pairs = np.triu_indices(len(who), 1)
        same = (np.array(who)[:, None] == who)[pairs]
        near = (abs(np.subtract.outer(years, years)) <= 3)[pairs]
        assert (cosines[pairs][same & near] > limit).mean() > 0.85
        assert (cosines[pairs][~same] > limit).mean() < 0.02


class TestFolder:
    def test_a_file_or_a_folder_is_a_person(self, folder: Path) -> None:
        found = find_photographs(folder)
        assert [(name, path.name) for name, path in found] == [
            ("anna", "anna.png"),
            ("boris", "from the front.png"),
        ]

    def test_hidden_files_are_nobody(self, folder: Path) -> None:
        known = find_photographs(folder)
        for _, path in known:
            path.with_name(f"._{path.name}").write_bytes(b"of macOS")
        assert find_photographs(folder) == known

    def test_what_is_wrong_is_said_in_one_line(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="none: not a folder of people's photographs"):
            Tracker(landmarker(), people=tmp_path / "none")
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="empty: no photograph"):
            Tracker(landmarker(), people=tmp_path / "empty")
        (folder / "clara").mkdir()
        with pytest.raises(DataError, match="clara: no photograph of clara"):
            Tracker(landmarker(), people=folder)
        (folder / "clara").rename(folder / ".cache")
        assert {name for name, _ in find_photographs(folder)} == {"anna", "boris"}
        write_image(folder / "wall.png", people.wall())
        with pytest.raises(DataError, match=r"wall\.png: shows no face by which wall could be known"):
            Tracker(landmarker(), people=folder)
        (folder / "wall.png").rename(folder / "unknown.png")
        with pytest.raises(ConfigError, match="nobody can be called unknown"):
            Tracker(landmarker(), people=folder)

    def test_a_corpus_notices_another_photograph(self, folder: Path) -> None:
        before = options_key(TrackingOptions(people=folder))
        assert before == options_key(TrackingOptions(people=str(folder)))
        write_image(folder / "anna.png", people.picture([None, (people.WIDTH / 2, people.HEIGHT / 2)]))
        assert options_key(TrackingOptions(people=folder)) != before


class TestNamer:
    def namer(self, *photographs: tuple[str, np.ndarray]) -> Namer:
        names, descriptors = zip(*photographs, strict=True)
        return Namer(People(names, np.stack(descriptors)), encoder())

    def seen(self, namer: Namer, **identities: np.ndarray) -> dict[str, str]:
        """Show identities together; returns the names of the frame."""
        ids = [int(name[1:]) for name in identities]
        for face_id, descriptor in zip(ids, identities.values(), strict=True):
            namer._learn(face_id, descriptor, 0.0)
        faces = [
            TrackedFace(face_id, np.zeros((68, 2)), np.zeros((68, 2)), np.ones(68), np.zeros(4))
            for face_id in ids
        ]
        named = namer.step(RgbPicture(np.zeros((8, 8, 3), np.uint8)), [], faces, 0.0)
        return {f"f{face.face_id}": str(face.name) for face in named}

    def test_the_nearest_person_above_the_limit_has_the_name(self) -> None:
        namer = self.namer(("anna", ANNA), ("boris", BORIS))
        between = 0.6 * ANNA + 0.8 * SOMEBODY
        far = 0.3 * BORIS + np.sqrt(1 - 0.09) * SOMEBODY
        assert self.seen(namer, f0=between, f1=far) == {"f0": "anna", "f1": "unknown"}
        assert namer.names()[1] == ("unknown", pytest.approx(0.3))

    def test_the_best_of_several_photographs_counts(self) -> None:
        namer = self.namer(("anna", ANNA), ("anna", SOMEBODY), ("boris", BORIS))
        assert namer.people.persons == ["anna", "boris"]
        assert self.seen(namer, f0=SOMEBODY) == {"f0": "anna"}

    def test_two_faces_of_a_frame_are_two_people(self) -> None:
        namer = self.namer(("anna", ANNA), ("boris", BORIS))
        like_anna = 0.8 * ANNA + 0.6 * SOMEBODY
        assert self.seen(namer, f0=like_anna, f1=ANNA) == {"f0": "unknown", "f1": "anna"}
        assert namer.names()[0][0] == "unknown"

    def test_identities_that_never_meet_may_be_one_person(self) -> None:
        namer = self.namer(("anna", ANNA), ("boris", BORIS))
        self.seen(namer, f0=ANNA)
        self.seen(namer, f1=ANNA)
        assert {face: name for face, (name, _) in namer.names().items()} == {0: "anna", 1: "anna"}

    def test_the_mean_of_what_was_seen_decides(self) -> None:
        namer = self.namer(("anna", ANNA), ("boris", BORIS))
        for descriptor in (BORIS, ANNA, ANNA):
            self.seen(namer, f0=descriptor)
        assert namer.names()[0][0] == "anna"


class TestTracking:
    def test_names_stay_through_a_crossing_and_a_stranger_has_none(self, folder: Path) -> None:
        tracker = Tracker(landmarker(), stabilizer="none", fps=people.FPS, people=folder)
        left, right = people.WIDTH / 4, 3 * people.WIDTH / 4
        scene = people.scene(40, walk(left, right, 40), walk(right, left, 40))
        steps = [tracker.step(image) for image in scene]
        assert names_at(steps[0], left) == {"anna"}
        assert names_at(steps[0], right) == {"boris"}
        assert names_at(steps[-1], left) == {"boris"}
        assert names_at(steps[-1], right) == {"anna"}
        (folder / "anna.png").unlink()
        tracker = Tracker(landmarker(), stabilizer="none", fps=people.FPS, people=folder)
        assert names_at(tracker.step(scene[0]), left) == {"unknown"}

    def test_without_people_nobody_has_a_name(self) -> None:
        (face,) = Tracker(landmarker()).step(people.picture([(240, 135), None]))
        assert (face.name, np.isnan(face.similarity)) == (None, True)

    @pytest.mark.parametrize("suffix", ["npz", "json", "csv", "parquet"])
    def test_every_table_carries_them(self, folder: Path, tmp_path: Path, suffix: str) -> None:
        images = people.scene(6, at(people.WIDTH / 4), at(3 * people.WIDTH / 4))
        images.insert(3, people.wall())
        tracks = steadyface.track(images, landmarker=landmarker(), people=folder)
        assert set(tracks.names.values()) == {"anna", "boris"}
        assert tracks.meta["people"] == ["anna", "boris"]
        back = Tracks.load(tracks.save(tmp_path / f"clip.{suffix}"))
        assert back == tracks
        assert back.name.tolist() == tracks.name.tolist()

    def test_the_csv_has_a_column_of_names_only_if_asked(self, folder: Path) -> None:
        images = people.scene(2, at(people.WIDTH / 4), at(3 * people.WIDTH / 4))
        table = steadyface.track(images, landmarker=landmarker(), people=folder).to_pandas()
        assert sorted(set(table["name"])) == ["anna", "boris"]
        assert "name" not in steadyface.track(images, landmarker=landmarker()).to_pandas()

    def test_photographs_by_themselves_are_named_each(self, folder: Path) -> None:
        images = [people.picture([(240, 135), None]), people.picture([None, (240, 135)])]
        tracks = steadyface.track(images, landmarker=landmarker(), people=folder, independent=True)
        assert tracks.name.tolist() == ["anna", "boris"]


def test_an_overlay_shows_the_name() -> None:
    points = np.random.default_rng(0).uniform(60, 180, (68, 2))
    box = np.array([60.0, 60, 180, 180])
    frame = np.zeros((240, 240, 3), np.uint8)
    plain, named, unknown = (
        draw_faces(frame, [TrackedFace(0, points, points, np.ones(68), box, name=name)])
        for name in (None, "anna", "unknown")
    )
    assert not np.array_equal(plain, named)
    np.testing.assert_array_equal(plain, unknown)


def test_old_files_name_nobody() -> None:
    builder = TracksBuilder()
    points = np.zeros((68, 2))
    builder.add(
        frame=0, seconds=0.0, face=0, points=points, raw_points=points, scores=np.ones(68), box=np.zeros(4)
    )
    tracks = builder.finish({})
    assert (tracks.names, tracks.name.tolist()) == ({}, [""])
