"""Laws of the coordinate rule: maps undo each other, borders stay on borders, faces stay inside regions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from steadyface import markup
from steadyface.geometry import (
    CROP_MARGIN,
    Affine,
    Region,
    bounding_box,
    box_of_pixels,
    change_grid,
    face_size,
    flip_points,
    fraction_in_frame,
    fraction_inside,
    iou,
)

EXACT = 1e-9
"""px: coordinates up to 1e4 carry some 1e-12 of rounding; a chain of maps multiplies it by less than 1e3."""

places = st.floats(-4000, 4000)
angles = st.floats(-math.pi, math.pi)
scales = st.floats(0.05, 20)
faces = arrays(float, (68, 2), elements=places)
regions = st.builds(Region, places, places, st.floats(10, 4000), angles)
boxes = st.builds(
    lambda corner, size: np.concatenate([corner, corner + size]),
    arrays(float, 2, elements=places),
    arrays(float, 2, elements=st.floats(1, 1000)),
)


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """A similarity with or without a mirror."""
    scale, angle = draw(scales), draw(angles)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    sign = draw(st.sampled_from([-1, 1]))
    return Affine(np.array([[cos, -sin * sign, draw(places)], [sin, cos * sign, draw(places)]]))


def turn(points: np.ndarray, angle: float, centre: np.ndarray) -> np.ndarray:
    """Clockwise on screen (y runs down), written out by complex numbers as an independent oracle."""
    turned = (points - centre) @ [1, 1j] * np.exp(1j * angle)
    return np.stack([turned.real, turned.imag], axis=-1) + centre


class TestChangeGrid:
    @given(st.integers(1, 4096), st.integers(1, 4096))
    def test_keeps_borders_on_borders(self, old: int, new: int) -> None:
        borders = np.array([[-0.5, old - 0.5]])
        assert change_grid(borders, new / old) == pytest.approx(np.array([[-0.5, new - 0.5]]), abs=EXACT)

    @given(faces, scales)
    def test_round_trip(self, points: np.ndarray, scale: float) -> None:
        back = change_grid(change_grid(points, scale), 1 / scale)
        np.testing.assert_allclose(back, points, rtol=0, atol=EXACT)

    def test_two_pixels_share_one(self) -> None:
        np.testing.assert_array_equal(change_grid(np.array([[0.5, 2.5]]), 0.5), [[0, 1]])

    @given(faces, scales)
    def test_is_affine_scaling(self, points: np.ndarray, scale: float) -> None:
        np.testing.assert_allclose(
            Affine.scaling(scale)(points), change_grid(points, scale), rtol=0, atol=EXACT
        )


class TestFlip:
    @given(faces, st.integers(1, 4000))
    def test_twice_is_identity(self, points: np.ndarray, width: int) -> None:
        twice = flip_points(flip_points(points, width, markup.FLIP), width, markup.FLIP)
        np.testing.assert_allclose(twice, points, rtol=0, atol=EXACT)

    @given(faces, st.integers(1, 4000))
    def test_leaves_its_input_alone(self, points: np.ndarray, width: int) -> None:
        before = points.copy()
        flip_points(points, width)
        np.testing.assert_array_equal(points, before)

    def test_maps_pixels_as_slicing_does(self) -> None:
        image = np.arange(7)
        x = flip_points(np.array([[2.0, 0.0]]), width=7)[0, 0]
        assert image[::-1][int(x)] == image[2]


class TestAffine:
    @given(affines(), faces)
    def test_inverse_undoes(self, affine: Affine, points: np.ndarray) -> None:
        # The inverse of a map that shrinks 20 times magnifies the rounding of an offset of 4000 px.
        np.testing.assert_allclose(affine.inverse(affine(points)), points, rtol=0, atol=EXACT)

    @given(affines(), affines(), faces)
    def test_then_is_one_after_the_other(self, first: Affine, second: Affine, points: np.ndarray) -> None:
        # Results reach 1e6 px here, hence the relative part.
        np.testing.assert_allclose(first.then(second)(points), second(first(points)), rtol=1e-12, atol=EXACT)

    @given(affines(), affines())
    def test_scales_multiply(self, first: Affine, second: Affine) -> None:
        assert first.then(second).scale == pytest.approx(first.scale * second.scale)
        assert first.inverse.scale == pytest.approx(1 / first.scale)

    @given(faces, scales, scales)
    def test_scaling_is_change_grid_axis_by_axis(self, points: np.ndarray, x: float, y: float) -> None:
        scaled = Affine.scaling(x, y)(points)
        for axis, scale in enumerate((x, y)):
            expected = change_grid(points, scale)[:, axis]
            np.testing.assert_allclose(scaled[:, axis], expected, rtol=1e-12, atol=EXACT)
        np.testing.assert_allclose(change_grid(points, np.array([x, y])), scaled, rtol=1e-12, atol=EXACT)
        np.testing.assert_array_equal(Affine.scaling(x).matrix, Affine.scaling(x, x).matrix)

    def test_translation(self) -> None:
        np.testing.assert_array_equal(Affine.translation(2, -3)(np.array([[1.0, 1.0]])), [[3, -2]])


class TestRegion:
    @given(regions, st.integers(1, 512), faces)
    def test_image_to_crop_to_image(self, region: Region, size: int, points: np.ndarray) -> None:
        assume(size / region.side > 0.01)  # below, a crop px spans more than 100 image px
        to_crop = region.to_crop(size)
        np.testing.assert_allclose(to_crop.inverse(to_crop(points)), points, rtol=0, atol=EXACT)

    @given(regions, st.integers(1, 512))
    def test_corners_are_the_borders_of_the_crop(self, region: Region, size: int) -> None:
        low, high = -0.5, size - 0.5
        expected = [[low, low], [high, low], [high, high], [low, high]]
        np.testing.assert_allclose(region.to_crop(size)(region.corners), expected, rtol=0, atol=1e-7)

    @given(faces, angles)
    def test_around_points_contains_them(self, points: np.ndarray, roll: float) -> None:
        assume(np.ptp(points, axis=0).max() > 1)
        region = Region.around_points(points, roll)
        crop = region.to_crop(100)(points)
        assert (crop > -0.5).all()
        assert (crop < 99.5).all()

    @given(faces, angles)
    def test_around_points_keeps_the_margin(self, points: np.ndarray, roll: float) -> None:
        assume(np.ptp(points, axis=0).max() > 1)
        x0, y0, x1, y1 = bounding_box(Region.around_points(points, roll).to_crop(130)(points))
        assert max(x1 - x0, y1 - y0) == pytest.approx(130 / CROP_MARGIN)
        assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((64.5, 64.5), abs=1e-6)

    @given(faces)
    def test_upright_is_around_box(self, points: np.ndarray) -> None:
        assert Region.around_points(points) == Region.around_box(bounding_box(points))

    @given(faces, angles, angles)
    def test_turning_face_and_region_changes_nothing_in_the_crop(
        self, points: np.ndarray, roll: float, angle: float
    ) -> None:
        assume(np.ptp(points, axis=0).max() > 1)
        region = Region.around_points(points, roll)
        centre = np.array([100.0, -50.0])
        x, y = turn(np.array([[region.x, region.y]]), angle, centre)[0]
        turned = Region(float(x), float(y), region.side, roll + angle)
        # A side as small as 1.3 px is blown up 100 times.
        expected, found = region.to_crop(128)(points), turned.to_crop(128)(turn(points, angle, centre))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
        around = Region.around_points(turn(points, angle, centre), roll + angle)
        np.testing.assert_allclose(
            around.to_crop(128)(turn(points, angle, centre)), expected, rtol=0, atol=1e-7
        )


class TestBoxes:
    @given(boxes, boxes)
    def test_iou_is_symmetric_and_bounded(self, a: np.ndarray, b: np.ndarray) -> None:
        both = iou(np.stack([a, b]), np.stack([a, b]))
        np.testing.assert_allclose(both, both.T)
        np.testing.assert_allclose(np.diag(both), 1)
        assert (both >= 0).all()
        assert (both <= 1 + 1e-12).all()

    @given(boxes)
    def test_iou_is_zero_apart(self, box: np.ndarray) -> None:
        apart = box + np.array([box[2] - box[0], 0, box[2] - box[0], 0])
        assert iou(box[None], apart[None]) == 0

    def test_iou_of_empty_boxes_is_zero(self) -> None:
        empty = np.zeros((1, 4))
        assert iou(empty, empty) == 0
        assert iou(np.zeros((0, 4)), empty).shape == (0, 1)

    @given(boxes, boxes, scales)
    def test_scaling_keeps_iou(self, a: np.ndarray, b: np.ndarray, scale: float) -> None:
        scaled = iou(Affine.scaling(scale).boxes(a)[None], Affine.scaling(scale).boxes(b)[None])
        np.testing.assert_allclose(scaled, iou(a[None], b[None]), rtol=0, atol=1e-7)

    @given(boxes, scales)
    def test_scaling_multiplies_sides(self, box: np.ndarray, scale: float) -> None:
        scaled = Affine.scaling(scale).boxes(box[None])[0]
        np.testing.assert_allclose(scaled[2:] - scaled[:2], scale * (box[2:] - box[:2]))

    def test_box_of_a_whole_image_scales_to_the_whole_image(self) -> None:
        np.testing.assert_allclose(
            Affine.scaling(0.25).boxes(box_of_pixels(0, 0, 640, 480)), box_of_pixels(0, 0, 160, 120)
        )

    @given(boxes, boxes)
    def test_fraction_inside_is_the_shared_area_over_its_own(self, a: np.ndarray, b: np.ndarray) -> None:
        both = np.stack([a, b])
        share, area = fraction_inside(both, both), (both[:, 2:] - both[:, :2]).prod(axis=1)
        np.testing.assert_allclose(np.diag(share), 1)
        shared = share * area[:, None]
        np.testing.assert_allclose(shared, shared.T, rtol=1e-9, atol=EXACT)
        union = area[:, None] + area[None] - shared
        np.testing.assert_allclose(iou(both, both), shared / union, rtol=1e-9, atol=EXACT)

    @given(boxes, st.floats(0, 100))
    def test_all_of_a_box_is_inside_a_larger_one(self, box: np.ndarray, margin: float) -> None:
        larger = box + margin * np.array([-1, -1, 1, 1])
        assert fraction_inside(box[None], larger[None])[0, 0] == pytest.approx(1)

    @given(boxes, st.integers(1, 200), st.integers(1, 200))
    def test_fraction_in_frame_is_that_inside_its_box(self, box: np.ndarray, width: int, height: int) -> None:
        whole = box_of_pixels(0, 0, width, height)
        expected = fraction_inside(box[None], whole[None])[0, 0]
        assert fraction_in_frame(box, width, height) == pytest.approx(expected)

    def test_fraction_inside_counts_px(self) -> None:
        rng = np.random.default_rng(0)
        low = rng.integers(0, 20, (2, 6, 2))
        ends = np.concatenate([low, low + rng.integers(1, 20, low.shape)], axis=-1)
        painted = np.zeros((2, 6, 40, 40), bool)
        for i, j in np.ndindex(2, 6):
            x0, y0, x1, y1 = ends[i, j]
            painted[i, j, y0:y1, x0:x1] = True
        shared = (painted[0][:, None] & painted[1][None]).sum(axis=(2, 3))
        counted = shared / painted[0].sum(axis=(1, 2))[:, None]
        np.testing.assert_allclose(fraction_inside(ends[0] - 0.5, ends[1] - 0.5), counted)

    def test_fraction_inside_of_empty_boxes_is_zero(self) -> None:
        empty = np.zeros((1, 4))
        assert fraction_inside(empty, empty) == 0
        assert fraction_inside(np.zeros((0, 4)), empty).shape == (0, 1)
        assert fraction_inside(empty, np.zeros((0, 4))).shape == (1, 0)

    @given(faces, scales, scales)
    def test_maps_move_a_box_as_its_points(self, points: np.ndarray, x: float, y: float) -> None:
        affine = Affine.scaling(x, y)
        np.testing.assert_allclose(affine.boxes(bounding_box(points)), bounding_box(affine(points)))

    @given(boxes, scales, scales)
    def test_maps_of_boxes_have_inverses(self, box: np.ndarray, x: float, y: float) -> None:
        affine = Affine.scaling(x, y)
        np.testing.assert_allclose(affine.inverse.boxes(affine.boxes(box)), box, rtol=0, atol=EXACT)

    def test_maps_take_any_number_of_boxes(self) -> None:
        affine, box = Affine.scaling(2.0, 3.0), np.array([0.0, 1.0, 2.0, 3.0])
        for shape in ((0,), (5,), (2, 3)):
            many = np.broadcast_to(box, (*shape, 4))
            np.testing.assert_array_equal(affine.boxes(many), np.broadcast_to(affine.boxes(box), many.shape))

    @given(faces, st.floats(0.1, 10), places)
    def test_face_size_scales_and_ignores_shift(self, points: np.ndarray, scale: float, shift: float) -> None:
        assert face_size(points[None] * scale + shift)[0] == pytest.approx(
            scale * face_size(points[None])[0], abs=1e-6
        )
