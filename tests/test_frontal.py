"""Frontal points: heads that turn stand still, expressions stay, and poses are those that made the points."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import steadyface
from steadyface.camera import Camera
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.errors import ConfigError, DataError
from steadyface.frontal import add_frontal
from steadyface.frontal.shape import bundled_shape
from steadyface.geometry import Region, bounding_box
from steadyface.images import crop_region
from steadyface.measures import MEAN_FACE, mouth_aspect_ratio
from steadyface.metrics import interocular
from steadyface.synthetic.heads.model import HeadModel
from steadyface.synthetic.heads.turned import HeadPhoto
from steadyface.tracks import Tracks, TracksBuilder
from steadyface.training.turned import HEAD_MODEL

SIZE = (1280, 720)
CAMERA = Camera(
    np.array([[1100.0, 0, 640], [0, 1100, 350], [0, 0, 1]]), np.array([-0.15, 0.05, 1e-3, -5e-4, 0.0]), SIZE
)
FRAMES = 40
SWING = np.sin(2 * np.pi * np.arange(FRAMES) / FRAMES)
EYES = float(interocular(MEAN_FACE[:, :2]))
INNER = np.arange(17, 68)


def person(seed: int = 0) -> np.ndarray:
    """Somebody's face at rest, (68, 3) mm."""
    weights = np.random.default_rng(seed).normal(size=len(bundled_shape().identity))
    return MEAN_FACE + np.tensordot(weights, bundled_shape().identity, 1)


def turns(yaw: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Angles (T, 3) and places (T, 3) of a head that turns from side to side, nods, tilts and moves."""
    angles = np.radians(np.stack([8 * np.cos(2 * SWING), yaw * SWING, 5 * SWING**2], axis=1))
    return angles, np.stack([60 * SWING, 20 * SWING**2, 700 + 80 * SWING], axis=1)


def seen(shapes: np.ndarray, angles: np.ndarray, places: np.ndarray, camera: Camera = CAMERA) -> np.ndarray:
    """Points of shapes (T, 68, 3) before a camera, by OpenCV."""
    frames = zip(shapes, Rotation.from_euler("XYZ", angles).as_rotvec(), places, strict=True)
    projected = [cv2.projectPoints(*frame, camera.matrix, camera.distortion)[0][:, 0] for frame in frames]
    return np.stack(projected)


def tracks_of(points: np.ndarray, size: tuple[int, int] = SIZE) -> Tracks:
    builder = TracksBuilder()
    for frame, face in enumerate(points):
        builder.add_frame(frame, frame / 30, size)
        row = {"points": face, "raw_points": face, "scores": np.ones(68), "box": bounding_box(face)}
        builder.add(frame=frame, seconds=frame / 30, face=0, **row)
    return builder.finish({"source": "clip.mp4", "size": list(size), "options": {}})


def movement(frontal: np.ndarray | None) -> float:
    """Mean distance of points from their mean over the frames, % of the inter-ocular distance."""
    assert frontal is not None
    return 100 * float(np.linalg.norm(frontal - frontal.mean(axis=0), axis=-1).mean()) / EYES


class TestHeadMotion:
    def test_points_stand_still_while_the_head_turns(self) -> None:
        points = seen(np.tile(person(), (FRAMES, 1, 1)), *turns())
        found = add_frontal(tracks_of(points), camera=CAMERA)
        # Nothing but the priors' pull moves them: an exact picture of a face that the model can make.
        assert movement(found.frontal_points) < 0.1
        assert np.max(found.reprojection_error) < 0.2

    def test_pose_is_that_which_made_the_points(self) -> None:
        angles, places = turns()
        found = add_frontal(
            tracks_of(seen(np.tile(MEAN_FACE, (FRAMES, 1, 1)), angles, places)), camera=CAMERA
        )
        assert found.head_pose is not None
        np.testing.assert_allclose(found.head_pose[:, 3:], angles, rtol=0, atol=2e-3)
        np.testing.assert_allclose(found.head_pose[:, :3], places, rtol=5e-3, atol=1.0)

    def test_an_outline_that_follows_the_picture_turns_nothing(self) -> None:
        angles, places = turns()
        points = seen(np.tile(person(), (FRAMES, 1, 1)), angles, places)
        sliding = 0.1 * interocular(points)[:, None] * SWING[:, None]
        points[:, :6, 0] -= sliding
        points[:, 11:17, 0] -= sliding
        found = add_frontal(tracks_of(points), camera=CAMERA)
        assert movement(found.frontal_points) < 0.5
        assert found.head_pose is not None
        # A tenth of the inter-ocular distance at the ears would mean a turn of about .15 radians.
        assert np.abs(found.head_pose[:, 4] - angles[:, 1]).max() < 0.04

    def test_a_rendered_head_stands_still_through_the_tracker(self, data_dir: Path) -> None:
        model = HeadModel.load(data_dir / "extra" / HEAD_MODEL)
        image, points = find_samples(data_dir / "300w", ("lfpw-train",))[37].load()
        picture, to_picture = crop_region(
            image, Region.around_points(points, margin=2.2), 300, cv2.BORDER_REFLECT_101
        )
        head = HeadPhoto(picture, to_picture(points), model)
        yaws = math.radians(20) * np.sin(2 * np.pi * np.arange(24) / 24) - head.fit.yaw
        tracks = steadyface.track([head.turned(yaw=yaw).image for yaw in yaws], fps=15, max_faces=1)
        assert len(tracks) == len(yaws)
        found = add_frontal(tracks, focal=1e4)  # the head is drawn without perspective
        assert movement(found.frontal_points) < 1.4  # most of it the outline's
        assert found.head_pose is not None
        assert np.ptp(found.head_pose[:, 4]) > math.radians(20)


class TestExpressions:
    def test_they_are_seen_in_every_pose(self) -> None:
        opening = np.zeros_like(MEAN_FACE)
        opening[[*range(6, 11), *range(55, 60), *range(65, 68)], 1] = 9.0
        phase = (np.arange(FRAMES) % 10 < 5).astype(float)
        shapes = person() + phase[:, None, None] * opening
        found = add_frontal(tracks_of(seen(shapes, *turns())), camera=CAMERA).frontal_points
        assert found is not None
        gap = found[:, [66, 67, 65], 1].mean(axis=1) - found[:, [62, 61, 63], 1].mean(axis=1)
        opened, shut = gap[phase == 1], gap[phase == 0]
        assert opened.mean() - shut.mean() == pytest.approx(9.0, abs=1.5)
        assert max(np.ptp(opened), np.ptp(shut)) < 1.5
        assert np.ptp(found[:, 36:48], axis=0).max() < 0.5  # the eyes take no part in it

    def test_people_of_other_shape_have_the_same_frontal_face(self) -> None:
        faces = [
            add_frontal(tracks_of(seen(np.tile(person(seed), (FRAMES, 1, 1)), *turns())), camera=CAMERA)
            for seed in (1, 2)
        ]
        one, other = (face.frontal_points for face in faces)
        assert one is not None
        assert other is not None
        apart = np.linalg.norm(person(1) - person(2), axis=-1).mean()
        assert np.linalg.norm(one.mean(axis=0) - other.mean(axis=0), axis=-1).mean() < apart / 4


class TestCameras:
    def test_distance_goes_with_the_focal_length(self) -> None:
        points = seen(np.tile(MEAN_FACE, (4, 1, 1)), np.zeros((4, 3)), np.tile([0, 0, 2500.0], (4, 1)))
        near, far = (add_frontal(tracks_of(points), focal=focal).head_pose for focal in (1100.0, 2200.0))
        assert near is not None
        assert far is not None
        np.testing.assert_allclose(far[:, 2] / near[:, 2], 2.0, rtol=0.02)

    def test_the_tables_camera_is_used_and_kept(self) -> None:
        tracks = tracks_of(
            seen(np.tile(MEAN_FACE, (4, 1, 1)), np.zeros((4, 3)), np.tile([0, 0, 700.0], (4, 1)))
        )
        asked = add_frontal(tracks, camera=CAMERA)
        assert asked.meta["camera"] == CAMERA.values()
        again = add_frontal(replace(tracks, meta=asked.meta))
        assert again == asked
        assert "camera" not in add_frontal(tracks).meta

    def test_wrong_ones_are_named(self, tmp_path: Path) -> None:
        tracks = tracks_of(np.tile(MEAN_FACE[:, :2] + 200, (2, 1, 1)), (640, 640))
        with pytest.raises(ConfigError, match="exclude each other"):
            add_frontal(tracks, focal=600, camera=CAMERA)
        with pytest.raises(ConfigError, match="focal must be positive and finite, got 0"):
            add_frontal(tracks, focal=0)
        with pytest.raises(ConfigError, match="of another shape"):
            add_frontal(tracks, camera=CAMERA)
        with pytest.raises(DataError, match="No such file"):
            add_frontal(tracks, camera=tmp_path / "none.yml")
        with pytest.raises(ConfigError, match="size of the frames is not known"):
            add_frontal(Tracks(**tracks.columns()))

    @pytest.mark.usefixtures("unannotated")
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"tracks": None}, "tracks must be of Tracks.of_points or Tracks.load, got NoneType"),
            ({"tracks": MEAN_FACE}, "tracks must be of Tracks.of_points or Tracks.load, got ndarray"),
            ({"tracks": "x.npz"}, "tracks must be of Tracks.of_points or Tracks.load, got str"),
            ({"focal": "x"}, "focal must be a number, got 'x'"),
            ({"focal": [1]}, r"focal must be a number, got \[1\]"),
            ({"camera": 5}, "camera must be a Camera or its file, got int"),
        ],
    )
    def test_arguments_of_another_kind_are_named(self, change: dict[str, object], message: str) -> None:
        tracks = tracks_of(np.tile(MEAN_FACE[:, :2] + 200, (2, 1, 1)), (640, 640))
        with pytest.raises(ConfigError, match=f"^{message}$"):
            add_frontal(**({"tracks": tracks} | change))  # type: ignore[arg-type]


class TestRows:
    def test_a_face_that_is_none_has_nan(self) -> None:
        points = np.tile(MEAN_FACE[:, :2] + 300, (3, 1, 1))
        points[1] = 40.0
        found = add_frontal(tracks_of(points))
        assert found.frontal_points is not None
        assert found.reprojection_error is not None
        np.testing.assert_array_equal(np.isnan(found.frontal_points).all(axis=(1, 2)), [False, True, False])
        np.testing.assert_array_equal(np.isnan(found.reprojection_error), [False, True, False])

    def test_an_empty_table(self) -> None:
        found = add_frontal(tracks_of(np.zeros((0, 68, 2))))
        assert found.frontal_points is not None
        assert found.frontal_points.shape == (0, 68, 2)

    def test_photographs_are_people_of_their_own(self) -> None:
        points = seen(np.stack([person(1), person(2)]), *(each[:2] for each in turns()))
        together = tracks_of(points)
        alone = replace(together, meta={**together.meta, "options": {"independent": True}})
        found = add_frontal(alone).frontal_points
        assert found is not None
        for row in range(2):
            single = add_frontal(tracks_of(points[row : row + 1])).frontal_points
            assert single is not None
            np.testing.assert_allclose(found[row], single[0], rtol=0, atol=1e-4)

    @pytest.mark.parametrize("suffix", ["npz", "csv", "parquet", "json"])
    def test_layers_are_kept_in_files(self, tmp_path: Path, suffix: str) -> None:
        points = seen(np.tile(person(), (6, 1, 1)), *(each[:6] for each in turns()))
        points[2] = 40.0
        found = add_frontal(tracks_of(points), focal=900.0)
        assert Tracks.load(found.save(tmp_path / f"clip.{suffix}")) == found
        plain = tracks_of(points)
        assert Tracks.load(plain.save(tmp_path / f"plain.{suffix}")).frontal_points is None

    def test_the_tables_pose_is_the_fitted_one(self) -> None:
        points = seen(np.tile(person(), (6, 1, 1)), *(each[:6] for each in turns()))
        found = add_frontal(tracks_of(points), camera=CAMERA)
        table = found.to_pandas()
        names = [f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"]
        np.testing.assert_array_equal(table[names].to_numpy(), found.head_pose)
        np.testing.assert_array_equal(table["frontal_y_66"], found.frontal_points[:, 66, 1])  # type: ignore[index]

    def test_a_camera_alone_serves_the_tables_pose(self) -> None:
        angles, places = turns()
        plain = tracks_of(seen(np.tile(MEAN_FACE, (FRAMES, 1, 1)), angles, places))
        table = replace(plain, meta={**plain.meta, "camera": CAMERA.values()}).to_pandas()
        np.testing.assert_allclose(table["pose_Tz"], places[:, 2], rtol=5e-3)

    def test_smoothing_anew_drops_them(self) -> None:
        found = add_frontal(tracks_of(np.tile(MEAN_FACE[:, :2] + 300, (3, 1, 1))))
        assert found.smoothed(steadyface.load_stabilizer()).frontal_points is None


def test_tracking_adds_them(tmp_path: Path) -> None:
    from steadyface.demo import portrait

    scene = replace(portrait(), seconds=0.2)
    tracks = steadyface.track(scene, frontal=True, focal=1500.0)
    assert tracks.meta["camera"] == {"focal": 1500.0}
    assert tracks.meta["options"]["frontal"] is True
    assert tracks.frontal_points is not None
    # The face of a photograph that smiles: its mouth is wider than the mean face's.
    assert float(mouth_aspect_ratio(tracks.frontal_points.mean(axis=0).astype(float))) > 0
    np.testing.assert_allclose(
        tracks.frontal_points.mean(axis=0)[INNER], MEAN_FACE[INNER, :2], rtol=0, atol=12
    )
