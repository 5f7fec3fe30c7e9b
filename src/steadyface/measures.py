"""Measures of a face from its 68 points: head pose, openness of eyes and mouth, blinks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter

from steadyface import markup
from steadyface.arrays import FaceBatch, FacePoints, Times
from steadyface.camera import Camera
from steadyface.errors import ConfigError
from steadyface.shapes import as_shaped

_PARTS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "jaw": (
        *((-75, -34, 95), (-75, -15, 93), (-72, 5, 93), (-68, 23, 92), (-60, 41, 86), (-48, 56, 76)),
        *((-34, 67, 64), (-18, 77, 52), (0, 79, 47), (18, 77, 52), (34, 67, 64), (48, 56, 76)),
        *((60, 41, 86), (68, 23, 92), (72, 5, 93), (75, -15, 93), (75, -34, 95)),
    ),
    "right_brow": ((-58, -48, 47), (-49, -55, 37), (-36, -57, 29), (-24, -55, 22), (-12, -50, 18)),
    "left_brow": ((12, -50, 18), (24, -55, 22), (36, -57, 29), (49, -55, 37), (58, -48, 47)),
    "nose_bridge": ((0, -36, 19), (0, -24, 13), (0, -12, 6), (0, 0, 0)),
    "nose_base": ((-14, 8, 20), (-7, 11, 16), (0, 13, 15), (7, 11, 16), (14, 8, 20)),
    "right_eye": (
        *((-44, -34, 42), (-36, -39, 37), (-27, -39, 36), (-19, -33, 36), (-27, -31, 36), (-37, -31, 38)),
    ),
    "left_eye": (
        *((19, -33, 36), (27, -39, 36), (36, -39, 37), (44, -34, 42), (37, -31, 38), (27, -31, 36)),
    ),
    "outer_lips": (
        *((-28, 31, 43), (-17, 27, 29), (-7, 24, 21), (0, 26, 20), (7, 24, 21), (17, 27, 29)),
        *((28, 31, 43), (18, 41, 34), (8, 45, 28), (0, 45, 26), (-8, 45, 28), (-18, 41, 34)),
    ),
    "inner_lips": (
        *((-23, 32, 41), (-7, 30, 23), (0, 31, 22), (7, 30, 23), (23, 32, 41), (7, 35, 27)),
        *((0, 36, 25), (-7, 35, 27)),
    ),
}
"""mm from the tip of the nose: to the subject's left, down, and back."""


def _mean_face() -> Float[np.ndarray, "68 3"]:
    points = np.array([point for group in markup.GROUPS for point in _PARTS[group]], float)
    points -= points.mean(axis=0)
    points.setflags(write=False)
    return points


MEAN_FACE = _mean_face()
"""(68, 3) mm: an average adult's points, symmetric, around their mean. x to the subject's left, which is an
unmirrored image's right, y down, z back.

`tools/mean_face.py` fits it to the annotations of 300-W's training faces, beginning with anthropometric
averages (Farkas 1994); the eyes' centres are 63 mm apart (Dodgson 2004)."""

RIGID = np.flatnonzero(np.abs(markup.JAW_DROP) <= 0.1)
"""Points that an opening mouth leaves in place."""

_SMALLEST = 0.004  # radians: root mean square angle of the points around their middle, for a face 10 m away


@dataclass(frozen=True, eq=False)
class HeadPose:
    """Position and rotation of heads in camera coordinates: x right, y down, z away from the camera.

    Args:
        rotation: (…, 3) radians about x, y and z, R = Rx Ry Rz. They are positive for a head that nods down,
            turns its nose to the image's left, and tilts clockwise.
        translation: (…, 3) mm from the camera to the mean of the head's points.

    Raises:
        ConfigError: not one rotation and one translation a head.
    """

    rotation: Float[np.ndarray, "*faces 3"]
    translation: Float[np.ndarray, "*faces 3"]

    def __post_init__(self) -> None:
        as_shaped(rotation=(self.rotation, "… 3"), translation=(self.translation, "… 3"))

    @classmethod
    def of_matrix(
        cls, matrix: Float[np.ndarray, "*faces 3 3"], translation: Float[np.ndarray, "*faces 3"]
    ) -> HeadPose:
        """Pose from rotation matrices.

        Raises:
            ConfigError: not one matrix and one translation a head.
        """
        matrix, translation = as_shaped(matrix=(matrix, "… 3 3"), translation=(translation, "… 3"))
        about_x = np.arctan2(-matrix[..., 1, 2], matrix[..., 2, 2])
        about_y = np.arcsin(np.clip(matrix[..., 0, 2], -1, 1))
        about_z = np.arctan2(-matrix[..., 0, 1], matrix[..., 0, 0])
        return cls(np.stack([about_x, about_y, about_z], axis=-1), translation)

    @property
    def matrix(self) -> Float[np.ndarray, "*faces 3 3"]:
        """(…, 3, 3) R = Rx Ry Rz, which turns the head's axes to the camera's."""
        (sx, sy, sz), (cx, cy, cz) = (np.moveaxis(of(self.rotation), -1, 0) for of in (np.sin, np.cos))
        rows = (
            *(cy * cz, -cy * sz, sy),
            *(cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy),
            *(sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy),
        )
        return np.stack(rows, axis=-1).reshape(*self.rotation.shape, 3)


def head_pose(
    points: FaceBatch,
    width: float,
    height: float,
    focal: float | None = None,
    camera: Camera | None = None,
) -> HeadPose:
    """Estimate head pose, with `MEAN_FACE` as the shape of every head.

    Equation: the R, t that minimise Σ_i ‖x_i - π(R·X_i + t)‖², π(X) = f·(X, Y)/Z + c, over the points that an
    opening mouth leaves in place.
    Source: Terzakis and Lourakis 2020 (SQPnP), in OpenCV; axes of OpenFace (Baltrušaitis et al. 2018).

    Lengths depend on the assumptions: a head smaller than the average, or a lens longer than assumed, seems
    further away than it is. Angles hardly depend on either.

    Args:
        points: image px.
        width, height: of the image, px; its middle is the camera's axis.
        focal: focal length, px; None takes the image's longer side, a view of 53°, about a phone's.
        camera: intrinsics, in place of size and focal length.

    Returns:
        Poses; NaN for a face without a solution.

    Raises:
        ConfigError: points of another markup, or a size or focal length that is not positive.

    >>> camera = MEAN_FACE + [0, 0, 600]
    >>> points = 640 * camera[:, :2] / camera[:, 2:] + [319.5, 239.5]
    >>> pose = head_pose(points, 640, 480)
    >>> np.abs(pose.rotation).max() < 1e-5, pose.translation.round(2) + 0
    (np.True_, array([  0.,   0., 600.]))
    """
    if camera is None:
        camera = Camera.of_focal(focal, width, height)
    points = markup.as_faces(points)
    flat = points.reshape(-1, markup.COUNT, 2).astype(float)
    poses = np.array([_solve(face, camera) for face in flat]).reshape(*points.shape[:-2], 4, 3)
    return HeadPose.of_matrix(poses[..., :3, :], poses[..., 3, :])


def _solve(points: FacePoints, camera: Camera) -> Float[np.ndarray, "4 3"]:
    """Solve for the rotation matrix and translation of one face."""
    chosen = points[RIGID]
    if not np.isfinite(chosen).all() or not np.ptp(chosen, axis=0).all():
        return np.full((4, 3), np.nan)
    # OpenCV refuses very small or far faces. Perspective does not matter there, so they are enlarged, and the
    # translation is scaled back.
    directions = camera.directions(points)[RIGID]
    middle = directions.mean(axis=0)
    enlarged = max(1.0, _SMALLEST / float(np.sqrt(((directions - middle) ** 2).sum(axis=1).mean())))
    directions = middle + enlarged * (directions - middle)
    _, rotation_vector, translation = cv2.solvePnP(
        MEAN_FACE[RIGID], directions, np.eye(3), None, flags=cv2.SOLVEPNP_SQPNP
    )
    rotation = cv2.Rodrigues(rotation_vector)[0]
    offset = rotation @ MEAN_FACE[RIGID].mean(axis=0)
    return np.vstack([rotation, enlarged * (translation[:, 0] + offset) - offset])


def eye_aspect_ratio(points: FaceBatch, eye: str) -> Float[np.ndarray | np.floating, "*batch"]:
    """Openness of an eye: its height over its width, about 0.3 when open and below 0.2 in a blink.

    Equation: (‖p2 - p6‖ + ‖p3 - p5‖) / (2 ‖p1 - p4‖), p1 and p4 the corners.
    Source: Soukupová and Čech 2016, Eq. (1).

    Args:
        points: px, in any frame.
        eye: `right_eye` or `left_eye`, the subject's own.

    Raises:
        ConfigError: another name, or points of another markup.

    >>> float(eye_aspect_ratio(MEAN_FACE[:, :2], "left_eye").round(2))
    0.32
    """
    if eye not in markup.EYES:
        raise ConfigError.choice("eye", eye, markup.EYES)
    return _openness(points, eye)


def eye_openness(points: FaceBatch) -> Float[np.ndarray | np.floating, "*batch"]:
    """Mean `eye_aspect_ratio` of both eyes; arguments and errors as there."""
    return np.mean([eye_aspect_ratio(points, eye) for eye in markup.EYES], axis=0)


def mouth_aspect_ratio(points: FaceBatch) -> Float[np.ndarray | np.floating, "*batch"]:
    """Openness of the mouth: its inner height over its inner width; 0 when the lips meet.

    Equation: (‖p61 - p67‖ + ‖p62 - p66‖ + ‖p63 - p65‖) / (3 ‖p60 - p64‖), points counted from 0.
    Source: the eye's aspect ratio of Soukupová and Čech 2016, for the inner lips.

    Args:
        points: px, in any frame.

    Raises:
        ConfigError: points of another markup.

    >>> float(mouth_aspect_ratio(MEAN_FACE[:, :2]).round(2))
    0.11
    """
    return _openness(points, "inner_lips")


def _openness(points: FaceBatch, group: str) -> Float[np.ndarray | np.floating, "*batch"]:
    """Mean distance of opposite points over the distance of the corners; NaN if that is 0."""
    points = markup.as_faces(points)
    upper, lower = markup.facing(group)
    right, left = markup.corners(group)
    height = np.linalg.norm(points[..., upper, :] - points[..., lower, :], axis=-1).mean(axis=-1)
    width = np.linalg.norm(points[..., right, :] - points[..., left, :], axis=-1)
    return height / np.where(width > 0, width, np.nan)


def visible_eye_openness(
    points: Float[np.ndarray, "frames 68 2"], visible: Float[np.ndarray, "frames 68"]
) -> Float[np.ndarray, "frames"]:
    """Mean `eye_aspect_ratio` of the eyes that nothing hides; NaN where both are hidden.

    Args:
        points: raw points, px in any frame; a stabiliser would change how far and when eyes close.
        visible: probability that nothing hides the point. An eye counts as hidden if the mean of its points
            is below 0.5, and as visible if that is NaN, since the network does not tell.

    Raises:
        ConfigError: points of another markup, or another shape.
    """
    points, visible = as_shaped(
        points=(markup.as_faces(points), "frames 68 2"), visible=(visible, "frames 68")
    )
    ratios = np.stack([eye_aspect_ratio(points, eye) for eye in markup.EYES])
    hidden = [visible[:, list(markup.GROUPS[eye])].mean(axis=1) < _VISIBLE for eye in markup.EYES]
    seen = ~np.array(hidden) & ~np.isnan(ratios)
    total = np.where(seen, ratios, 0.0).sum(axis=0)
    return np.where(seen.any(axis=0), total / np.maximum(seen.sum(axis=0), 1), np.nan)


CLOSED = 0.65
"""Fraction of the open level below which eyes count as closed."""

OPEN = 0.8
"""Fraction of the open level above which eyes count as open."""

LONGEST = 0.8
"""Longest blink, s from open to open; anything longer is a look down, or closed eyes."""

_VISIBLE = 0.5
_LEVEL = 3.0  # s: window of the median that is the open level
_WIDE, _LEAST = 0.9, 0.4  # the open level is at least `_LEAST` of the `_WIDE` quantile of the openness
_SMOOTHED = 0.035  # s before and after a frame over which its openness is smoothed


@dataclass(frozen=True)
class Blink:
    """One closing and opening of the eyes.

    Args:
        start, end: last moment open before and first moment open after it, s.
        depth: largest loss of openness, as a fraction of the open level.
    """

    start: float
    end: float
    depth: float


def open_level(openness: Float[np.ndarray, "frames"], seconds: Times) -> Float[np.ndarray, "frames"]:
    """Usual openness of these eyes around each moment: the running median over 3 s.

    The level follows nods and turns of the head, which change the openness that the image shows; a blink is
    too short to change it. Eyes that stay closed do not lower it far: it is at least 0.4 of the openness's
    90 % quantile.

    Raises:
        ConfigError: as of `find_blinks`.
    """
    openness, seconds = as_shaped(openness=(openness, "frames"), seconds=(seconds, "frames"))
    if len(openness) < 3:
        return np.full(len(openness), np.median(openness) if len(openness) else np.nan)
    half = max(1, min(_frames_in(_LEVEL / 2, seconds), len(openness) - 1))
    level = median_filter(openness, 2 * half + 1, mode="reflect")
    return np.maximum(level, _LEAST * np.quantile(openness, _WIDE))


def find_blinks(openness: Float[np.ndarray, "frames"], seconds: Times) -> list[Blink]:
    """Find blinks: from open (0.8 of the open level) to below 0.65 of it, and to open again within 0.8 s.

    Two thresholds instead of one keep noise around a threshold from counting as several blinks. Above 40
    frames/s the openness is first smoothed by a parabola over ± 35 ms, which keeps the depth of blinks of
    0.1 s (Savitzky and Golay 1964). At lower rates a blink may be a single frame, so nothing is smoothed.

    Args:
        openness: of the eyes in successive frames, such as `visible_eye_openness`; frames with NaN are left
            out.
        seconds: of the frames.

    Raises:
        ConfigError: not one number and one time a frame, or times that do not increase.
    """
    openness, seconds = as_shaped(openness=(openness, "frames"), seconds=(seconds, "frames"))
    known = ~np.isnan(openness)
    openness, seconds = openness[known], seconds[known]
    relative = _smoothed(openness, seconds) / open_level(openness, seconds)
    opened = np.flatnonzero(relative >= OPEN)
    blinks = []
    for before, after in zip(opened[:-1].tolist(), opened[1:].tolist(), strict=True):
        lowest = float(relative[before : after + 1].min())
        length = float(seconds[after] - seconds[before])
        if lowest < CLOSED and length <= LONGEST:
            blinks.append(Blink(float(seconds[before]), float(seconds[after]), 1 - lowest))
    return blinks


def _smoothed(openness: Float[np.ndarray, "frames"], seconds: Times) -> Float[np.ndarray, "frames"]:
    half = min(_frames_in(_SMOOTHED, seconds), (len(openness) - 1) // 2) if len(openness) > 1 else 0
    if half < 2:  # a parabola through three frames is the frames
        return openness
    from scipy.signal import savgol_filter  # half a second, which only this needs

    return savgol_filter(openness, 2 * half + 1, 2)


def _frames_in(span: float, seconds: Times) -> int:
    """Number of frames in a span of s."""
    step = float(np.median(np.diff(seconds)))
    if not 0 < step < np.inf:
        raise ConfigError(f"seconds must increase from frame to frame, got steps of {step:g}")
    return round(span / step)
