"""Overlays: drawn where the points are, at sub-pixel places, into a copy, on a canvas of one size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyface import markup
from steadyface.drawing import STYLES, Overlay, draw_faces, fit_canvas
from steadyface.drawing.panels import FaceCamera, corner_position, free_corner
from steadyface.drawing.strokes import COLOURS, draw_label, draw_lines
from steadyface.drawing.styles import DRAWN, mesh_edges
from steadyface.errors import ConfigError
from steadyface.geometry import bounding_box, iou
from steadyface.landmarker import Landmarks
from steadyface.measures import MEAN_FACE
from steadyface.metrics import interocular
from steadyface.tracking import TrackedFace
from steadyface.tracks import Tracks

SEEN = 40  # grey levels by which a drawn pixel differs at least


def face(points: np.ndarray, number: int = 0) -> TrackedFace:
    return TrackedFace(number, points, points, np.ones(68), bounding_box(points))


def face_at(x: float, y: float, eyes: float = 60.0) -> np.ndarray:
    """The mean face with the tip of its nose's bridge there."""
    flat = MEAN_FACE[:, :2] - MEAN_FACE[27, :2]
    return flat * eyes / float(interocular(flat)) + [x, y]


def grey(height: int = 200, width: int = 300) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def changed(image: np.ndarray, level: int = 128) -> np.ndarray:
    return np.abs(image.astype(int) - level).max(axis=2)


@pytest.mark.parametrize(("name", "like"), [("Zoë", "Zoe"), ("安娜", None), ("Анна", None), ("آنا", None)])
def test_a_name_is_drawn_in_latin_letters_or_as_the_number(name: str, like: str | None) -> None:
    shown = replace(face(face_at(150, 100)), name=name)
    expected = draw_faces(grey(), [replace(shown, name=like)])
    np.testing.assert_array_equal(draw_faces(grey(), [shown]), expected)
    assert (expected != draw_faces(grey(), [replace(shown, name="Anna")])).any()


def test_rows_of_a_frame_are_drawn_as_its_faces() -> None:
    points = np.stack([face_at(80, 60), face_at(150, 120)])
    tracks = Tracks.of_points(points)
    for number, rows in enumerate(tracks.frames()):
        expected = draw_faces(grey(), [face(points[number].astype(np.float32))])
        np.testing.assert_array_equal(draw_faces(grey(), rows), expected)
    np.testing.assert_array_equal(draw_faces(grey(), tracks.of_face(7)), grey())
    with pytest.raises(ConfigError, match=r"draw the rows of one frame, as Tracks\.frames yields; got 2"):
        draw_faces(grey(), tracks)


def test_what_is_detected_is_drawn_as_faces_in_order() -> None:
    points = np.stack([face_at(80, 60), face_at(200, 120)])
    found = Landmarks.of_points(points, np.ones((2, 68)))
    expected = draw_faces(grey(), [face(points[0], 0), face(points[1], 1)])
    np.testing.assert_array_equal(draw_faces(grey(), found), expected)
    np.testing.assert_array_equal(draw_faces(grey(), found[0]), draw_faces(grey(), [face(points[0])]))
    np.testing.assert_array_equal(draw_faces(grey(), list(found)), expected)
    np.testing.assert_array_equal(draw_faces(grey(), [found[0], face(points[1], 1)]), expected)
    np.testing.assert_array_equal(draw_faces(grey(), Landmarks.stack([])), grey())


@pytest.mark.usefixtures("unannotated")
def test_what_cannot_be_drawn() -> None:
    gappy = face_at(150, 80)
    gappy[3] = np.nan
    np.testing.assert_array_equal(draw_faces(grey(), [face(gappy)]), grey())
    with pytest.raises(ConfigError, match="image must be RGB uint8"):
        draw_faces(grey() / 255, [face(face_at(150, 80))])
    for other in (face_at(150, 80), None, [None], face(face_at(150, 80))):
        with pytest.raises(ConfigError, match=r"^faces must be of Tracker\.step"):
            draw_faces(grey(), other)  # type: ignore[arg-type]


@pytest.mark.parametrize("style", DRAWN)
class TestStyles:
    def test_every_point_is_drawn_and_the_frame_is_left_alone(self, style: str) -> None:
        frame, points = grey(), face_at(150, 80)
        drawn = changed(draw_faces(frame, [face(points)], style))
        assert (frame == 128).all()
        for x, y in np.round(points).astype(int):
            assert drawn[y - 1 : y + 2, x - 1 : x + 2].max() > SEEN

    def test_nothing_is_drawn_beside_the_face_and_its_label(self, style: str) -> None:
        points = face_at(150, 80)
        drawn = changed(draw_faces(grey(), [face(points)], style))
        x0, y0, x1, y1 = np.round(bounding_box(points)).astype(int)
        outside = drawn.copy()
        outside[y0 - 4 : y1 + 5, x0 - 4 : x1 + 5] = 0  # lines and dots are a few px wide
        outside[y0 - 30 : y0, x0 - 4 : x1 + 40] = 0  # the label
        assert not outside.any()

    def test_a_quarter_of_a_pixel_can_be_seen(self, style: str) -> None:
        drawn = []
        for shift in (0.0, 0.25):
            canvas = grey()
            DRAWN[style](canvas, face_at(150 + shift, 80), COLOURS[0], False)
            drawn.append(canvas.astype(int))
        difference = np.abs(drawn[1] - drawn[0]).max(axis=2)
        assert 0 < difference.max() < 128  # edges are blended otherwise; no line jumps by a whole pixel
        moved = [(changed(image)[:, :, None] * np.indices((200, 300))[1][:, :, None]) for image in drawn]
        centres = [m.sum() / changed(image).sum() for m, image in zip(moved, drawn, strict=True)]
        # Anti-aliasing is not linear: half of a quarter tells it from none and from a whole one.
        assert centres[1] - centres[0] == pytest.approx(0.25, abs=0.125)

    @pytest.mark.parametrize("eyes", [8.0, 15.0, 30.0, 60.0])
    def test_marks_do_not_cover_a_small_face(self, style: str, eyes: float) -> None:
        """The face that they change is about as much of a small face as of a large one."""
        points = face_at(150, 80, eyes)
        canvas = grey()
        DRAWN[style](canvas, points, COLOURS[0], False)
        x0, y0, x1, y1 = np.round(bounding_box(points)).astype(int)
        assert 0.02 < changed(canvas)[y0:y1, x0:x1].mean() / 128 < 0.2

    def test_a_held_face_is_dimmer(self, style: str) -> None:
        ink = []
        for held in (False, True):
            canvas = grey()
            DRAWN[style](canvas, face_at(150, 80), COLOURS[0], held)
            ink.append(int(changed(canvas).sum()))
        assert 0.1 * ink[0] < ink[1] < 0.8 * ink[0]

    def test_identities_differ_in_colour(self, style: str) -> None:
        points = face_at(150, 80)
        pictures = [draw_faces(grey(), [face(points, number)], style) for number in range(len(COLOURS))]
        for i, one in enumerate(pictures):
            assert not any(np.array_equal(one, other) for other in pictures[:i])

    def test_far_points_do_not_throw(self, style: str) -> None:
        points = np.random.default_rng(0).normal(0, 1e7, (68, 2))
        draw_faces(np.zeros((20, 20, 3), np.uint8), [face(points)], style)

    @pytest.mark.parametrize("size", [(1, 1), (7, 301), (301, 7), (33, 33)])
    def test_odd_sizes_and_faces_across_the_border(self, style: str, size: tuple[int, int]) -> None:
        picture = draw_faces(grey(*size), [face(face_at(0, 0))], style)
        assert picture.shape == (*size, 3)
        assert changed(picture).any()

    def test_a_face_beside_the_frame_leaves_no_trace(self, style: str) -> None:
        for x, y in ((-900, 50), (900, 50), (150, -300), (150, 500)):
            assert not changed(draw_faces(grey(), [face(face_at(x, y))], style)).any()

    def test_large_faces_have_wider_lines(self, style: str) -> None:
        shares = []
        for scale in (4, 16):
            canvas = grey(200 * scale, 300 * scale)
            DRAWN[style](canvas, face_at(150 * scale, 80 * scale, 60.0 * scale), COLOURS[0], False)
            shares.append(float((changed(canvas) > SEEN).mean()))
        # Lines that are as wide as their face is large cover the same share; whole pixels make a difference.
        assert shares[1] == pytest.approx(shares[0], rel=0.3)


class TestMesh:
    def test_it_holds_the_contours(self) -> None:
        mesh = {tuple(edge) for edge in mesh_edges().tolist()}
        assert {tuple(sorted(edge)) for edge in markup.EDGES.tolist()} <= mesh

    def test_both_halves_of_the_face_are_alike(self) -> None:
        flipped = np.sort(markup.FLIP[mesh_edges()], axis=1)
        assert {tuple(edge) for edge in flipped.tolist()} == {tuple(edge) for edge in mesh_edges().tolist()}

    def test_eyes_and_mouth_are_open(self) -> None:
        mesh = {tuple(edge) for edge in mesh_edges().tolist()}
        assert not mesh & {(37, 41), (38, 40), (37, 40), (38, 41), (61, 67), (62, 66), (63, 65)}

    def test_no_two_edges_cross_on_the_mean_face(self) -> None:
        starts, ends = MEAN_FACE[mesh_edges(), :2].transpose(1, 0, 2)

        def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
            u, v = b - a, c - a
            return np.sign(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])

        a, b, c, d = starts[:, None], ends[:, None], starts[None], ends[None]
        assert not ((side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)).any()


def test_dashes_cover_about_half_of_a_line() -> None:
    covered = []
    for dash in (0.0, 6.0):
        canvas = grey(20, 300)
        draw_lines(canvas, [np.array([[10.0, 10.0], [290.0, 10.0]])], (255, 255, 255), 1, dash)
        covered.append(int((changed(canvas)[10] > SEEN).sum()))
    assert covered[1] == pytest.approx(covered[0] / 2, rel=0.2)  # each end of a dash is a pixel wider


@pytest.mark.parametrize("ground", [0, 128, 255])
@pytest.mark.parametrize("colour", COLOURS)
def test_labels_can_be_read_on_any_ground(ground: int, colour: tuple[int, int, int]) -> None:
    canvas = np.full((60, 200, 3), ground, np.uint8)
    draw_label(canvas, "0  0.99", (20, 50), colour, 0.8)
    plate = (canvas == colour).all(axis=2)
    x = np.flatnonzero(plate.any(axis=0))
    y = np.flatnonzero(plate.any(axis=1))
    inside = canvas[y[0] : y[-1] + 1, x[0] : x[-1] + 1].astype(float) @ [0.299, 0.587, 0.114]
    own = float(np.dot(colour, [0.299, 0.587, 0.114]))
    assert np.abs(inside - own).max() > 100  # grey levels between the letters and their plate


@pytest.mark.parametrize("place", [(-500.0, -500.0), (500.0, 500.0)])
def test_a_label_stays_in_the_frame(place: tuple[float, float]) -> None:
    canvas = grey(80, 160)
    draw_label(canvas, "0", place, COLOURS[1], 0.8)
    assert (canvas == COLOURS[1]).all(axis=2).sum() > 200


class TestOverlay:
    def test_compare_shows_raw_left_and_stabilised_right(self) -> None:
        raw, points = face_at(150, 80), face_at(153, 82)
        picture = Overlay(300, 200, "compare")(grey(), [replace(face(points), raw_points=raw)], 0.0)
        assert picture.shape == (200, 600, 3)
        alone = [draw_faces(grey(), [face(shown)]) for shown in (raw, points)]
        for half, one in zip(
            (picture[:, :298], picture[:, 302:]), (alone[0][:, :298], alone[1][:, 2:]), strict=True
        ):
            assert np.array_equal(half[40:], one[40:])  # below the titles

    @pytest.mark.parametrize(("size", "inset"), [((1920, 1080), False), ((300, 200), True)])
    def test_compare_follows_the_face_of_a_large_frame(self, size: tuple[int, int], inset: bool) -> None:
        overlay = Overlay(*size, "compare", inset)
        points = face_at(size[0] * 0.7, size[1] * 0.4, 20.0)
        picture = overlay(grey(size[1], size[0]), [face(points)], 0.0)
        assert picture.shape[:2] == overlay.size[::-1]
        assert picture.shape[1] == 2 * picture.shape[0]
        side = picture.shape[0]
        drawn = changed(picture[:, :side]) > SEEN
        assert np.ptp(np.flatnonzero(drawn[side // 2])) > side / 2  # magnified to most of its half

    def test_an_inset_magnifies_a_small_face_only(self) -> None:
        small, large = face_at(60, 60, 16.0), face_at(150, 80, 90.0)
        for points, wanted in ((small, True), (large, False)):
            picture = Overlay(300, 200, "points", inset=True)(grey(), [face(points)], 0.0)
            plain = draw_faces(grey(), [face(points)], "points")
            side = round(0.42 * 200)
            x, y = corner_position((300, 200), side, 0)
            panel = picture[y : y + side, x : x + side]
            assert np.array_equal(panel, plain[y : y + side, x : x + side]) != wanted
            assert np.array_equal(picture[: y - 2], plain[: y - 2])

    def test_the_inset_shows_the_plain_frame_with_its_own_points(self) -> None:
        frame = np.random.default_rng(0).integers(100, 156, (400, 600, 3), dtype=np.uint8)
        side = round(0.42 * 400)
        x, y = corner_position((600, 400), side, 0)
        picture = Overlay(600, 400, "contours", inset=True)(frame, [face(face_at(100, 80, 30.0))], 0.0)
        white = (picture[y : y + side, x : x + side] > 200).all(axis=2)
        # Magnified lines would have magnified dots: 68 of a few px each, of a face 2.3 times as large.
        assert 20 < white.sum() < 68 * 9

    def test_frames_of_other_sizes_and_frames_without_a_face(self) -> None:
        for style in STYLES:
            for inset in (False, True):
                overlay = Overlay(301, 199, style, inset)
                for frame, faces in (
                    (grey(199, 301), []),
                    (grey(199, 301), [face(face_at(60, 60, 20.0))]),
                    (grey(90, 50), [face(face_at(20, 20, 20.0))]),
                    (grey(199, 301), []),
                ):
                    assert overlay(frame, faces, 0.0).shape == (*overlay.size[::-1], 3)

    def test_an_unknown_style_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="unknown style 'dots'; choose one of: points, contours, mesh"):
            Overlay(300, 200, "dots")
        with pytest.raises(ConfigError, match="unknown style 'compare'"):
            draw_faces(grey(), [], "compare")


class TestCamera:
    @given(seed=st.integers(0, 1000), speed=st.floats(0, 60))
    def test_the_face_never_leaves_the_square(self, seed: int, speed: float) -> None:
        rng, camera, place = np.random.default_rng(seed), FaceCamera(), np.array([300.0, 300.0])
        for k in range(20):
            place += rng.normal(0, speed, 2)
            points = face_at(*place, eyes=40 + 30 * rng.random())
            region = camera.follow([face(points)], k / 25)
            assert region is not None
            x0, y0, x1, y1 = bounding_box(points)
            half = region.side / 2 + 1e-9  # rounding
            assert region.x - half <= x0 <= x1 <= region.x + half
            assert region.y - half <= y0 <= y1 <= region.y + half

    def test_it_moves_more_smoothly_than_the_face(self) -> None:
        rng, camera, seen = np.random.default_rng(0), FaceCamera(), []
        for k in range(100):
            region = camera.follow([face(face_at(*(300 + rng.normal(0, 2, 2))))], k / 25)
            assert region is not None
            seen.append([region.x, region.y])
        # A low pass with a time constant of 12.5 frames leaves a twelfth of each step of white noise.
        steps = np.diff(np.array(seen[10:]), axis=0).std()
        assert steps < 0.2 * 2 * np.sqrt(2)

    def test_it_stays_with_a_face_and_then_takes_the_largest(self) -> None:
        camera = FaceCamera()
        small, large = face(face_at(100, 100, 30.0), 3), face(face_at(300, 100, 60.0), 5)
        camera.follow([small], 0.0)
        camera.follow([small, large], 0.1)
        assert camera.face_id == 3
        camera.follow([large], 0.2)
        assert camera.face_id == 5
        before = camera.region
        assert camera.follow([], 0.3) == before
        assert camera.follow([], 1.5) is None

    def test_the_panel_goes_where_no_face_is(self) -> None:
        side, size = 80, (300, 200)
        for x, y in ((250, 150), (50, 150), (250, 30), (50, 30)):
            hidden = [face(face_at(x, y, 40.0))]
            corner = free_corner(size, side, hidden, last=0)
            place = np.array([corner_position(size, side, corner)], float)
            assert iou(np.hstack([place, place + side]), hidden[0].box[None]).max() == 0
        assert free_corner(size, side, [], last=2) == 2


@pytest.mark.parametrize("shape", [(50, 100), (100, 50), (1, 1), (400, 30)])
def test_any_image_fits_the_canvas(shape: tuple[int, int]) -> None:
    fitted = fit_canvas(np.full((*shape, 3), 200, np.uint8), 100, 80)
    assert fitted.shape == (80, 100, 3)
    lit = np.argwhere(fitted[..., 0] > 100)
    height, width = lit.max(axis=0) - lit.min(axis=0) + 1
    assert height == 80 or width == 100
    # Each side is rounded to whole pixels.
    assert abs(height / width - shape[0] / shape[1]) < 0.05 * shape[0] / shape[1] + 1 / width


def test_the_label_of_a_small_face_is_small() -> None:
    """In a frame of 176 × 144 px a label must leave the picture to be seen."""
    areas = []
    for eyes in (20.0, 60.0):
        points = face_at(150, 100, eyes)
        drawn = changed(draw_faces(grey(), [face(points)], "points"))
        above = drawn[: round(float(points[:, 1].min())) - 3]
        areas.append(int((above > SEEN).sum()))
    assert 0 < areas[0] < areas[1] / 2  # fonts differ between versions of OpenCV
