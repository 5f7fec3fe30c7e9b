"""Heads in three dimensions: fit, z-buffer, and turned pictures whose points stay on what they marked."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from heads import small_head

from steadyface import markup
from steadyface.errors import DataError
from steadyface.measures import eye_aspect_ratio
from steadyface.synthetic.heads.fit import HeadFit, fit_head
from steadyface.synthetic.heads.model import HeadModel, Part
from steadyface.synthetic.heads.raster import draw
from steadyface.synthetic.heads.turned import HeadPhoto

SIDE = 240
MODEL = small_head()
INNER = np.arange(17, 68)


def turn_of(yaw: float, roll: float = 0.0) -> np.ndarray:
    """Rotation of the model's axes; positive yaw turns the nose to the image's right."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    aside = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    cos, sin = math.cos(roll), math.sin(roll)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ aside


def posed(yaw: float = 0.0, roll: float = 0.0) -> HeadFit:
    return HeadFit(9.0, turn_of(yaw, roll), np.array([120.0, 125.0]), np.zeros(2), np.zeros(3))


def ramps() -> np.ndarray:
    """A picture whose colours tell where each px is."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.stack([x, y, 0 * x + 90], axis=-1).astype(np.uint8)


class TestFit:
    @pytest.mark.parametrize(("yaw", "roll"), [(0.0, 0.0), (0.5, 0.2), (-0.7, -0.4)])
    def test_recovers_pose_and_points(self, yaw: float, roll: float) -> None:
        true = posed(yaw, roll)
        points = true.place(MODEL.neutral)[:, :2]
        found = fit_head(MODEL, points)
        np.testing.assert_allclose(found.rotation, true.rotation, rtol=0, atol=1e-3)
        assert found.scale == pytest.approx(true.scale, rel=1e-3)
        assert found.yaw == pytest.approx(math.atan2(true.rotation[0, 2], true.rotation[2, 2]), abs=1e-3)
        shape = MODEL.shape(found.identity, found.expression)
        np.testing.assert_allclose(found.place(shape)[:, :2], points, rtol=0, atol=0.05)  # the prior's pull

    def test_recovers_identity_and_expression(self) -> None:
        identity, expression = np.array([1.0, -0.8]), np.array([0.0, 0.0, 0.6])
        points = posed(0.3).place(MODEL.shape(identity, expression))[:, :2]
        found = fit_head(MODEL, points)
        # Of a size and a proportion only the proportion is known from a picture.
        apart = found.identity - identity
        assert apart[0] == pytest.approx(apart[1], abs=0.35)
        np.testing.assert_allclose(found.expression, expression, rtol=0, atol=0.1)
        assert (found.expression >= 0).all()

    def test_depth_points_to_the_viewer(self) -> None:
        placed = posed().place(MODEL.neutral)
        assert placed[markup.NOSE_TIP, 2] == placed[:, 2].max()


class TestRaster:
    def test_the_nearest_triangle_is_drawn_with_its_values(self) -> None:
        rng = np.random.default_rng(0)
        vertices = rng.uniform([0, 0, 0], [20, 16, 5], (30, 3))
        triangles = rng.permutation(30).reshape(10, 3)
        drawing = draw(vertices, triangles, 16, 20)
        assert (drawing.triangle >= 0).sum() > 50
        for y in range(16):
            for x in range(20):
                depths = [self.depth_at(vertices[corners], x, y) for corners in triangles]
                best = int(np.argmax(depths))
                if np.isinf(depths[best]):
                    assert drawing.triangle[y, x] == -1
                else:
                    assert drawing.triangle[y, x] == best
                    assert drawing.depth[y, x] == pytest.approx(depths[best])
        spread = drawing.spread(triangles, vertices)
        rows, columns = np.nonzero(drawing.triangle >= 0)
        np.testing.assert_allclose(spread[rows, columns, 0], columns, rtol=0, atol=1e-9)
        np.testing.assert_allclose(spread[rows, columns, 1], rows, rtol=0, atol=1e-9)

    @staticmethod
    def depth_at(corners: np.ndarray, x: int, y: int) -> float:
        """Depth of a triangle's plane at a px inside it, by solving for its barycentric coordinates."""
        shares = np.linalg.solve(np.vstack([corners[:, :2].T, np.ones(3)]), [x, y, 1.0])
        return float(shares @ corners[:, 2]) if (shares >= 0).all() else -math.inf

    def test_outside_the_picture_and_edge_on_there_is_nothing(self) -> None:
        vertices = np.array([[-9.0, 1, 0], [-5, 1, 0], [-5, 9, 0], [2, 2, 0], [2, 4, 1], [2, 6, 2]])
        drawing = draw(vertices, np.array([[0, 1, 2], [3, 4, 5]]), 10, 10)
        assert (drawing.triangle == -1).all()
        assert np.isneginf(drawing.depth).all()


POINTS = posed(0.05).place(MODEL.neutral)[:, :2]


@pytest.fixture(scope="module")
def photo() -> HeadPhoto:
    return HeadPhoto(ramps(), POINTS, MODEL)


class TestTurned:
    @staticmethod
    def colours(image: np.ndarray, points: np.ndarray) -> np.ndarray:
        x, y = np.round(points).astype(int).T
        return image[y, x, :2].astype(float)

    def test_no_turn_changes_nothing(self, photo: HeadPhoto) -> None:
        same = photo.turned()
        np.testing.assert_allclose(same.points, POINTS, rtol=0, atol=1e-9)
        inner = same.points[INNER]
        np.testing.assert_allclose(self.colours(same.image, inner), inner, rtol=0, atol=1.5)
        corner = np.s_[:20, :20]
        np.testing.assert_array_equal(same.image[corner], ramps()[corner])
        assert not same.covered.any()

    @pytest.mark.parametrize(("yaw", "pitch"), [(0.4, 0.0), (-0.5, 0.1), (0.2, -0.2)])
    def test_points_stay_on_what_they_marked(self, photo: HeadPhoto, yaw: float, pitch: float) -> None:
        """Colours tell where in the photograph a px comes from."""
        turned = photo.turned(yaw, pitch)
        shown = INNER[turned.visible[INNER]]
        assert len(shown) > 25
        found = self.colours(turned.image, turned.points[shown])
        assert np.median(np.linalg.norm(found - POINTS[shown], axis=1)) < 1.5
        nose = turned.points[markup.NOSE_TIP] - POINTS[markup.NOSE_TIP]
        assert nose[0] * yaw > 0
        assert nose[1] * pitch >= 0

    def test_the_far_side_is_hidden_and_its_jaw_is_the_outline(self, photo: HeadPhoto) -> None:
        turned = photo.turned(1.2)
        right, left = (list(markup.GROUPS[eye]) for eye in markup.EYES)
        assert turned.visible[right].mean() > turned.visible[left].mean()
        assert turned.points[left, 0].mean() > turned.points[right, 0].mean() - 5

    def test_closed_eyes_are_closed_and_no_others(self, photo: HeadPhoto) -> None:
        for closed in (0.5, 1.0):
            points = photo.turned(closed=closed).points
            for eye in markup.EYES:
                before, after = eye_aspect_ratio(np.stack([POINTS, points]), eye)
                # The lower lid hardly moves and the upper one goes straight down; the rest is sideways.
                assert after == pytest.approx((1 - closed) * before, abs=0.04)
            mouth = list(markup.GROUPS["outer_lips"])
            np.testing.assert_allclose(points[mouth], POINTS[mouth], rtol=0, atol=1e-6)

    def test_an_open_mouth_lowers_the_chin(self, photo: HeadPhoto) -> None:
        opened = photo.turned(opened=0.5).points - POINTS
        assert opened[8, 1] == pytest.approx(0.5 * 2 * photo.fit.scale, rel=0.1)
        assert np.abs(opened[markup.NOSE_TIP]).max() < 1e-6


class TestModel:
    def test_weights_are_by_name(self) -> None:
        np.testing.assert_array_equal(MODEL.weights(jawOpen=0.3), [0, 0, 0.3])

    def test_the_outline_moves_between_the_jaw_and_the_cheek(self) -> None:
        """A skull's front: half a cylinder, the jaw's points on its sides."""
        angles = np.linspace(-1.5, 1.5, 31)
        heights = np.linspace(-6, 6, 17)
        grid = np.array([[5 * math.sin(a), y, 5 * math.cos(a)] for y in heights for a in angles])
        landmarks = np.zeros(68, int)
        landmarks[: len(heights)] = np.arange(len(heights)) * len(angles)  # all on one side
        empty = np.zeros((0, *grid.shape), np.float32)
        head = HeadModel(
            grid, empty, empty, (), np.zeros((0, 3), int), np.full(len(grid), Part.FACE), landmarks
        )
        for number, candidates in enumerate(head.parallels):
            assert candidates[0] == landmarks[number]
            assert len(candidates) > 3
            np.testing.assert_allclose(grid[candidates, 1], heights[number])
            assert (grid[candidates, 0] < 0).all()

    def test_a_missing_or_broken_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"heads\.npz: No such file"):
            HeadModel.load(tmp_path / "heads.npz")
        np.savez(tmp_path / "heads.npz", neutral=np.zeros((3, 3)))
        with pytest.raises(DataError, match="a head model"):
            HeadModel.load(tmp_path / "heads.npz")

    def test_quads_become_two_triangles_and_lashes_are_left_out(self, tmp_path: Path) -> None:
        count = 25000  # the last ones are fluid and lashes
        np.savez(
            tmp_path / "heads.npz",
            neutral=np.zeros((count, 3)),
            identity=np.zeros((1, count, 3), np.float16),
            expression=np.zeros((1, count, 3), np.float16),
            expression_names=np.array(["jawOpen"]),
            quads=np.array([[0, 1, 2, 3], [24996, 24997, 24998, 24999]]),
            landmarks68=np.arange(68),
        )
        head = HeadModel.load(tmp_path / "heads.npz")
        np.testing.assert_array_equal(head.triangles, [[0, 1, 2], [0, 2, 3]])
        assert head.parts[[0, 9409, 17039, 21451, 24999]].tolist() == [
            Part.FACE,
            Part.SKULL,
            Part.TEETH,
            Part.EYE,
            Part.NONE,
        ]
