"""Synthetic life: an annotated still turns its head, blinks and talks, and every landmark's path is known.

The face is a linear model of the still: a triangle mesh over its landmarks and two rings around them, and a
displacement of the mesh per degree of freedom (blink, mouth, yaw, pitch, brows). Shift, roll and zoom move
the whole still. Within each triangle the warp is affine, so that the still's content at a landmark goes
exactly where the mesh's vertex goes; each frame is interpolated only once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import product

import cv2
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import Delaunay

from steadyface import markup
from steadyface.geometry import Affine, bounding_box, face_size
from steadyface.images import Frame
from steadyface.metrics import interocular
from steadyface.video import VideoFrame

Points = Float[np.ndarray, "landmarks 2"]
Vertices = Float[np.ndarray, "vertices 2"]

_PARTED = {"right_eye": 0.03, "left_eye": 0.03, "inner_lips": 0.015}  # least gap, in shares of the width
_LOWER_LID_RISES = 0.12  # of the eye's opening
_BULGE, _NOSE = 0.6, 0.25  # depth of the face, and of the nose's tip on top, in shares of half its width
_RINGS = ((1.4, 0.5), (2.2, 0.0))  # radius in half faces, share of the nearest landmark's displacement
_RING_COUNT = 20
_LEAST_AREA = 0.02  # of a triangle, over its area in the still
_EXPOSURES = 5
_DARKNESS = 0.85  # of the inside of a mouth that the still shows closed

# What a jaw's drop does to each point, in drawing order: 1 is the middle of the lower lip.
_DROP = {
    "jaw": (0, 0, 0.04, 0.12, 0.27, 0.45, 0.68, 0.84, 0.9, 0.84, 0.68, 0.45, 0.27, 0.12, 0.04, 0, 0),
    "outer_lips": (0.3, -0.02, -0.05, -0.06, -0.05, -0.02, 0.3, 0.75, 0.95, 1, 0.95, 0.75),
    "inner_lips": (0.3, -0.05, -0.06, -0.05, 0.3, 0.92, 1, 0.92),
}
_NARROWING = 0.15  # of the mouth's corners, each, over the drop
_NOSE_DEPTH = {"nose_bridge": (0.2, 0.4, 0.7, 1.0), "nose_base": (0.3, 0.5, 0.6, 0.5, 0.3)}


@dataclass(frozen=True)
class TalkingStill:
    """An annotated still as a living head: it rests and moves, turns, blinks, raises its brows and talks.

    All motion is a smooth function of time, drawn by `seed`. Landmarks that an annotation puts on or behind
    each other (closed lids, closed lips) are parted by 3 % of the eye's and 1.5 % of the mouth's width, so
    that there is something to open; `rest` holds them. Where the full motion would fold the picture of this
    face, the part that folds it is made smaller.

    Args:
        still: RGB uint8.
        points: (68, 2) annotated landmarks, px of the still.
        eyes_px: distance of the outer eye corners in the frame, px, on average.
        width, height: of the frames, px; the face is in the middle on average.
        fps: frames per second.
        seconds: length.
        seed: of all that is random.
        shift: how far the head moves to each side, in shares of the face's size (`geometry.face_size`).
        roll, yaw, pitch: largest angles, degrees.
        zoom: how much the face grows and shrinks, as a share.
        blinks: per minute on average; the time between two varies by ± 43 %. 0 for none.
        mouth: how far the lower lip goes down while talking, in shares of the mouth's width.
        brows: how far they go up now and then, in shares of the distance of the outer eye corners.
        noise: standard deviation of the sensor noise, grey levels.
        shutter: share of the frame time over which motion blurs; 0 for none. The truth is mid-exposure.
        quality: of a JPEG that each frame passes through, 1 to 100; None for none.
    """

    still: Frame
    points: Points
    eyes_px: float = 220.0
    width: int = 1920
    height: int = 1080
    fps: float = 30.0
    seconds: float = 5.0
    seed: int = 0
    shift: float = 0.3
    roll: float = 8.0
    yaw: float = 12.0
    pitch: float = 8.0
    zoom: float = 0.08
    blinks: float = 17.0
    mouth: float = 0.3
    brows: float = 0.06
    noise: float = 3.0
    shutter: float = 0.0
    quality: int | None = None

    def __len__(self) -> int:
        return round(self.seconds * self.fps)

    def __iter__(self) -> Iterator[VideoFrame]:
        return (self.frame(index) for index in range(len(self)))

    def frame(self, index: int) -> VideoFrame:
        """The frame of that index, the same in whatever order frames are taken."""
        seconds = index / self.fps
        image = self._noisy(self._exposed(seconds), index)
        if self.quality is not None:
            image = _through_jpeg(image, self.quality)
        return VideoFrame(index, seconds, image)

    @property
    def rest(self) -> Points:
        """(68, 2) px of the still: the landmarks before anything moves, as annotated but parted."""
        return self._face.rest[: markup.COUNT]

    def truth(self, seconds: float) -> Points:
        """(68, 2) px of the frame: where every landmark of `rest` is at a time."""
        return self._vertices(seconds)[: markup.COUNT]

    def to_frame(self, seconds: float) -> Affine:
        """The head's part of the motion: from px of the still to px of the frame at a time."""
        x, y, roll, grow = self._script.head(seconds)[:4]
        scale, angle = self._scale * (1 + self.zoom * grow), math.radians(self.roll) * roll
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        linear = np.array([[cos, -sin], [sin, cos]])
        way = self.shift * self._scale * float(face_size(self.points)) * np.array([x, y])
        middle = np.array([self.width - 1, self.height - 1]) / 2
        centre = bounding_box(self.points).reshape(2, 2).mean(axis=0)
        return Affine(np.column_stack([linear, middle + way - linear @ centre]))

    @cached_property
    def _scale(self) -> float:
        return self.eyes_px / float(interocular(self.points))

    @cached_property
    def _face(self) -> _Face:
        return _Face.of_points(self.points.astype(float), self)

    @cached_property
    def _script(self) -> _Script:
        return _Script.drawn(self.seed, self.seconds, self.blinks)

    @cached_property
    def _source(self) -> tuple[Frame, Affine]:
        """The still, averaged over whole blocks where it is to shrink by 2 or more, and the map to its px."""
        block = int(1 / self._scale)
        if block < 2:
            return self.still, Affine.scaling(1.0)
        below, beside = (-size % block for size in self.still.shape[:2])
        whole = cv2.copyMakeBorder(self.still, 0, below, 0, beside, cv2.BORDER_REFLECT_101)
        size = (whole.shape[1] // block, whole.shape[0] // block)
        return cv2.resize(whole, size, interpolation=cv2.INTER_AREA), Affine.scaling(1 / block)

    def _vertices(self, seconds: float) -> Vertices:
        return self.to_frame(seconds)(self._face.shape(self._script.weights(seconds, self._face.closing)))

    def _exposed(self, seconds: float) -> Frame:
        if not self.shutter:
            return self._sharp(seconds)
        middles = (np.arange(_EXPOSURES) + 0.5) / _EXPOSURES - 0.5
        times = seconds + middles * self.shutter / self.fps
        exposures = np.stack([self._sharp(float(time)) for time in times])
        light = exposures.sum(axis=0, dtype=np.uint16)
        return ((light + _EXPOSURES // 2) // _EXPOSURES).astype(np.uint8)

    def _sharp(self, seconds: float) -> Frame:
        source, to_source = self._source
        face, vertices = self._face, self._vertices(seconds)
        x, y = _whole_map(self.to_frame(seconds).inverse.then(to_source), self.width, self.height)
        _draw_triangles(x, y, vertices[face.triangles], to_source(face.rest)[face.triangles])
        method = cv2.INTER_CUBIC if self._scale > to_source.scale else cv2.INTER_LINEAR
        image = cv2.remap(source, x, y, method, borderMode=cv2.BORDER_REFLECT_101)
        _darken_mouth(image, vertices[: markup.COUNT], _mouth_gap(face.rest))
        return image

    def _noisy(self, image: Frame, index: int) -> Frame:
        if not self.noise:
            return image
        rng = np.random.default_rng([self.seed, index])
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        noise *= self.noise
        return cv2.add(image, noise, dtype=cv2.CV_8U)


def _through_jpeg(image: Frame, quality: int) -> Frame:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)


# What happens when


@dataclass(frozen=True)
class _Events:
    """What happens now and then: its beginnings and lengths in s, and how strong each is."""

    starts: Float[np.ndarray, "events"]
    lengths: Float[np.ndarray, "events"]
    sizes: Float[np.ndarray, "events"]

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        until: float,
        pauses: tuple[float, float],
        lengths: tuple[float, float],
        sizes: tuple[float, float] = (1.0, 1.0),
    ) -> _Events:
        """Events that follow one another after pauses, from 0 to `until`, each number uniform in a range."""
        rows, time = [], 0.0
        while time < until:
            pause, length, size = (rng.uniform(*span) for span in (pauses, lengths, sizes))
            rows.append((time + pause, length, size))
            time += pause + length
        return cls(*np.array(rows).reshape(-1, 3).T)

    def phases(self, seconds: float) -> Float[np.ndarray, "events"]:
        """Of each event: 0 before, 1 after, uniform between."""
        return np.clip((seconds - self.starts) / self.lengths, 0.0, 1.0)

    def bump(self, seconds: float, skew: float = 1.0) -> float:
        """Smoothly from 0 to the event's size and back; a `skew` below 1 rises faster than it falls.

        Equation: size·(1 - (1 - sin²(π·phase^skew))³).
        """
        rise = np.sin(np.pi * self.phases(seconds) ** skew) ** 2
        return float(self.sizes @ (1 - (1 - rise) ** 3))


@dataclass(frozen=True)
class _Waves:
    """Smooth random functions of one variable within ± 1: sums of sinusoids, slow ones large."""

    periods: Float[np.ndarray, "channels waves"]
    phases: Float[np.ndarray, "channels waves"]

    @classmethod
    def drawn(cls, rng: np.random.Generator, channels: int, waves: int = 4) -> _Waves:
        """Periods of 2 to 6 s of the head's own clock, which runs up to 6.4 times as fast as time."""
        shape = (channels, waves)
        return cls(np.exp(rng.uniform(math.log(2), math.log(6), shape)), rng.uniform(0, 2 * np.pi, shape))

    def __call__(self, time: float) -> Float[np.ndarray, "channels"]:
        shares = self.periods / self.periods.sum(axis=-1, keepdims=True)
        return (shares * np.sin(2 * np.pi * time / self.periods + self.phases)).sum(axis=-1)


@dataclass(frozen=True)
class _Script:
    """All that happens in one clip.

    The head's path is a wander along a clock of its own, which nearly stands still while the head rests.
    """

    wander: _Waves
    moves: _Events
    blinks: _Events
    talks: _Events
    syllables: Float[np.ndarray, "bursts 2"]
    raises: _Events

    @classmethod
    def drawn(cls, seed: int, seconds: float, blinks: float) -> _Script:
        """Every part from its own stream of numbers, so that one does not change the others."""
        rngs = [np.random.default_rng([seed, part]) for part in range(1, 7)]
        until = seconds + 1.0
        talks = _Events.drawn(rngs[3], until, pauses=(0.4, 1.5), lengths=(1.0, 3.0), sizes=(0.6, 1.0))
        return cls(
            wander=_Waves.drawn(rngs[0], channels=6),
            moves=_moves(rngs[1], until),
            blinks=_blinks(rngs[2], until, blinks),
            talks=talks,
            syllables=rngs[4].uniform((2.0, 0.0), (5.0, 2 * np.pi), (len(talks.starts), 2)),
            raises=_Events.drawn(rngs[5], until, pauses=(1.5, 5.0), lengths=(0.6, 1.5), sizes=(0.4, 1.0)),
        )

    def head(self, seconds: float) -> Float[np.ndarray, "6"]:
        """x, y, roll, growth, yaw and pitch, in shares of their largest values, within ± 1."""
        return self.wander(self._clock(seconds))

    def weights(self, seconds: float, closing: float) -> Float[np.ndarray, "5"]:
        """Of each of the face's displacements: blink, mouth (from -closing), yaw, pitch, brows."""
        yaw, pitch = self.head(seconds)[4:]
        blink, brows = self.blinks.bump(seconds, skew=0.6), self.raises.bump(seconds)
        return np.array([blink, self._mouth(seconds, closing), yaw, pitch, brows])

    def _clock(self, seconds: float) -> float:
        """2 % of real time, and on top sin² of a move's phase, integrated: starts and ends without a jerk."""
        phase = self.moves.phases(seconds)
        run = phase / 2 - np.sin(2 * np.pi * phase) / (4 * np.pi)
        return 0.02 * seconds + float(self.moves.sizes * self.moves.lengths @ run)

    def _mouth(self, seconds: float, closing: float) -> float:
        """Within a burst, sin² at the syllables' rate, of which no two are alike; fast ones are small."""
        rate, phase = self.syllables.T
        beat = np.pi * rate * (seconds - self.talks.starts)
        opening = np.sin(beat) ** 2 * (0.7 + 0.3 * np.sin(0.74 * beat + phase)) * np.sqrt(2 / rate)
        said = replace(self.talks, sizes=self.talks.sizes * (opening * (1 + closing) - closing))
        return said.bump(seconds)


def _moves(rng: np.random.Generator, until: float) -> _Events:
    """Rests of 0.45 to 0.9 times the move that follows; speeds from 0.8 to 6.4, mostly slow."""
    rows, time = [], 0.0
    while time < until:
        length, rest, speed = rng.uniform(0.7, 1.8), rng.uniform(0.45, 0.9), 0.8 * 8 ** rng.uniform() ** 2
        rows.append((time + rest * length, length, speed))
        time += (1 + rest) * length
    return _Events(*np.array(rows).T)


def _blinks(rng: np.random.Generator, until: float, per_minute: float) -> _Events:
    """Of 0.25 to 0.4 s, one every 2 to 5 s at 17 a minute, the first one early; 94 to 100 % deep."""
    if not per_minute:
        return _Events(*np.zeros((3, 0)))
    period = 60 / per_minute
    pauses = (max(period * 4 / 7 - 0.325, 0.0), max(period * 10 / 7 - 0.325, 0.1))
    until += 2 * period  # what the first one's early start takes away at the end
    later = _Events.drawn(rng, until, pauses, lengths=(0.25, 0.4), sizes=(0.94, 1.0))
    return replace(later, starts=later.starts - later.starts[0] + rng.uniform(0.1, 0.5) * period)


# What moves how


@dataclass(frozen=True)
class _Face:
    """A mesh over the still and its displacements.

    Args:
        rest: the landmarks, then the rings; px of the still.
        modes: each vertex's displacement at weight 1, px of the still: blink, mouth, yaw, pitch, brows.
        triangles: vertices of each.
        closing: the mouth's most negative weight, at which open lips have nearly closed; ≥ 0.
    """

    rest: Vertices
    modes: Float[np.ndarray, "modes vertices 2"]
    triangles: Int[np.ndarray, "triangles 3"]
    closing: float

    @classmethod
    def of_points(cls, points: Points, amounts: TalkingStill) -> _Face:
        """The mesh of annotated points (px of the still), moved by as much as the scene's fields say."""
        axes = _Axes.of_points(points)
        local = _parted(axes.to_local(points))
        modes = np.stack(
            [
                _blink(local),
                _mouth(local, amounts.mouth),
                _parallax(local, math.radians(amounts.yaw), axis=0),
                _parallax(local, math.radians(amounts.pitch), axis=1),
                _brows(local, amounts.brows),
            ]
        )
        ring, nearest, share = _rings(local)
        modes = np.concatenate([modes, share[:, None] * modes[:, nearest]], axis=1)
        rest = np.concatenate([local, ring])
        closing = _closing(local, modes[1])
        face = cls(axes.to_still(rest), modes @ axes.directions, Delaunay(rest).simplices, closing)
        return face._tied()._without_folds()

    def shape(self, weights: Float[np.ndarray, "*times modes"]) -> Float[np.ndarray, "*times vertices 2"]:
        """The vertices, px of the still, when each displacement has a weight."""
        return self.rest + np.tensordot(weights, self.modes, axes=1)

    def areas(
        self, vertices: Float[np.ndarray, "*times vertices 2"]
    ) -> Float[np.ndarray, "*times triangles"]:
        """Twice the signed area of each triangle, px²."""
        a, b, c = np.moveaxis(vertices[..., self.triangles, :], -2, 0)
        first, second = b - a, c - a
        return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]

    def _tied(self) -> _Face:
        """A vertex on the place of another is in no triangle: it moves like the nearest that is."""
        used = np.unique(self.triangles)
        nearest = used[np.linalg.norm(self.rest[:, None] - self.rest[used], axis=-1).argmin(axis=1)]
        return replace(self, modes=self.modes[:, nearest])

    def _without_folds(self) -> _Face:
        """Each displacement, one after the other, as large as keeps all triangles' orientation."""
        spans = [(0, 0.5, 1), (-self.closing, 0, 0.5, 1), (-1, 0, 1), (-1, 0, 1), (0, 1)]
        return reduce(lambda face, count: face._limited(count, spans), range(len(spans)), self)

    def _limited(self, mode: int, spans: list[tuple[float, ...]]) -> _Face:
        """With this mode's displacement no larger than goes with all extremes of those before it."""
        corners = np.array(list(product(*spans[: mode + 1])))
        weights = np.pad(corners, ((0, 0), (0, len(spans) - mode - 1)))
        for gain in np.linspace(1, 0, 21):
            modes = self.modes.copy()
            modes[mode] *= gain
            face = replace(self, modes=modes)
            ratio = face.areas(face.shape(weights)) / self.areas(self.rest)
            if ratio.min() > _LEAST_AREA:
                break
        return face


@dataclass(frozen=True)
class _Axes:
    """A face's own axes in the still: x from eye to eye, y down to the chin, the box's middle at 0."""

    centre: Float[np.ndarray, "2"]
    directions: Float[np.ndarray, "2 2"]

    @classmethod
    def of_points(cls, points: Points) -> _Axes:
        right, left = points[list(markup.OUTER_EYE_CORNERS)]
        x, y = (left - right) / np.linalg.norm(left - right)
        directions = np.array([[x, y], [-y, x]])
        middle = bounding_box(points @ directions.T).reshape(2, 2).mean(axis=0)
        return cls(middle @ directions, directions)

    def to_local(self, points: Points) -> Points:
        return (points - self.centre) @ self.directions.T

    def to_still(self, points: Vertices) -> Vertices:
        return points @ self.directions + self.centre


def _facing(group: str) -> tuple[Int[np.ndarray, "pairs"], Int[np.ndarray, "pairs"]]:
    """The upper and the lower points of a closed contour that face each other, without its corners."""
    points = np.array(markup.GROUPS[group])
    half = len(points) // 2
    return points[1:half], points[:half:-1]


def _contour_width(points: Points, group: str) -> float:
    """From corner to corner of a closed contour."""
    first, half = markup.GROUPS[group][0], len(markup.GROUPS[group]) // 2
    return float(np.linalg.norm(points[first + half] - points[first]))


def _parted(points: Points) -> Points:
    """With lids and lips at least a little apart, px along the face's axes."""
    points = points.copy()
    for group, share in _PARTED.items():
        upper, lower = _facing(group)
        gap = points[lower, 1] - points[upper, 1]
        lack = np.maximum(share * _contour_width(points, group) - gap, 0)
        points[upper, 1] -= lack / 2
        points[lower, 1] += lack / 2
    return points


def _blink(points: Points) -> Points:
    """The lower lids rise a little, the upper ones come down on them but for the least gap."""
    closed = points.copy()
    for group in ("right_eye", "left_eye"):
        upper, lower = _facing(group)
        closed[lower, 1] -= _LOWER_LID_RISES * (points[lower, 1] - points[upper, 1])
        least = _PARTED[group] * _contour_width(points, group)
        lid = np.interp(points[upper, 0], *_lower_contour(closed, group))
        closed[upper, 1] = np.maximum(points[upper, 1], lid - least)
    return closed - points


def _lower_contour(points: Points, group: str) -> Float[np.ndarray, "2 knots"]:
    """x and y of a closed contour's lower side from corner to corner, x rising."""
    corners = [markup.GROUPS[group][0], markup.GROUPS[group][0] + len(markup.GROUPS[group]) // 2]
    knots = points[[*corners, *_facing(group)[1]]]
    return knots[knots[:, 0].argsort()].T


def _mouth(points: Points, drop: float) -> Points:
    """The jaw goes down, and the lips with it; the mouth's corners go in."""
    moved = np.zeros_like(points)
    for group, shares in _DROP.items():
        moved[markup.GROUPS[group], 1] = shares
    outer, inner = markup.GROUPS["outer_lips"], markup.GROUPS["inner_lips"]
    width = _contour_width(points, "outer_lips")
    lips = [*outer, *inner]
    across = points[lips, 0] - points[lips, 0].mean()
    moved[lips, 0] = -2 * _NARROWING * across / width
    return moved * drop * width


def _closing(points: Points, mouth: Vertices) -> float:
    """The share of the mouth's displacement which, turned around, closes open lips to a fifth; at most ½."""
    upper, lower = _facing("inner_lips")
    opens = mouth[lower, 1] - mouth[upper, 1]
    if not opens.all():
        return 0.0
    return float(np.clip(0.8 * ((points[lower, 1] - points[upper, 1]) / opens).min(), 0.0, 0.5))


def _parallax(points: Points, angle: float, axis: int) -> Points:
    """What a turn of the head adds to one coordinate: depth·sin(angle), on a paraboloid with a nose.

    Lids and lips that face each other have one depth: no turn closes what is nearly closed already.
    """
    half = np.ptp(points, axis=0) / 2
    depth = _BULGE * (1 - ((points / half) ** 2 / [1.0, 1.5]).sum(axis=-1))
    for group, shares in _NOSE_DEPTH.items():
        depth[markup.GROUPS[group]] += _NOSE * np.array(shares)
    for group in _PARTED:
        upper, lower = _facing(group)
        depth[upper] = depth[lower] = (depth[upper] + depth[lower]) / 2
    moved = np.zeros_like(points)
    moved[:, axis] = depth * half[0] * math.sin(angle)
    return moved


def _brows(points: Points, lift: float) -> Points:
    """Both brows go up."""
    moved = np.zeros_like(points)
    brows = [*markup.GROUPS["right_brow"], *markup.GROUPS["left_brow"]]
    moved[brows, 1] = -lift * float(interocular(points))
    return moved


def _rings(
    points: Points,
) -> tuple[Vertices, Int[np.ndarray, "anchors"], Float[np.ndarray, "anchors"]]:
    """Anchors around the face: where, the landmark nearest to each, and the share it moves with that."""
    turns = 2 * np.pi * np.arange(_RING_COUNT) / _RING_COUNT
    circle = np.column_stack([np.cos(turns), np.sin(turns)]) * np.ptp(points, axis=0) / 2
    rings = np.concatenate([radius * circle for radius, _ in _RINGS])
    nearest = np.linalg.norm(rings[:, None] - points, axis=-1).argmin(axis=1)
    return rings, nearest, np.repeat([share for _, share in _RINGS], _RING_COUNT)


# How it is drawn


Map = Float[np.ndarray, "height width"]


def _whole_map(back: Affine, width: int, height: int) -> tuple[Map, Map]:
    """x and y in the source of every pixel of a frame, under one affine map back."""
    columns, rows = np.arange(width)[None], np.arange(height)[:, None]
    x, y = ((a * columns).astype(np.float32) + (b * rows + c).astype(np.float32) for a, b, c in back.matrix)
    return x, y


def _draw_triangles(
    x: Map,
    y: Map,
    corners: Float[np.ndarray, "triangles 3 2"],
    corners_source: Float[np.ndarray, "triangles 3 2"],
) -> None:
    """Write the source's coordinates into the pixels whose centres each triangle holds, edges included.

    Neighbours agree on their common edge, so that the order does not matter.
    """
    height, width = x.shape
    triangle, row, left, right = _spans(corners, height)
    first = np.clip(np.ceil(left), 0, width).astype(int)
    counts = np.clip(np.floor(right) + 1, 0, width).astype(int) - first
    counts = np.maximum(counts, 0)
    steps = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    pixels = np.repeat(row * width + first, counts) + steps
    linear, shift = _affine_maps(corners, corners_source)
    start = (linear[triangle] @ np.column_stack([first, row])[..., None])[..., 0] + shift[triangle]
    for axis, target in enumerate((x, y)):
        slope = np.repeat(linear[triangle, axis, 0], counts)
        target.reshape(-1)[pixels] = np.repeat(start[:, axis], counts) + slope * steps


def _spans(
    corners: Float[np.ndarray, "triangles 3 2"], height: int
) -> tuple[
    Int[np.ndarray, "spans"],
    Int[np.ndarray, "spans"],
    Float[np.ndarray, "spans"],
    Float[np.ndarray, "spans"],
]:
    """Where triangles meet rows of pixels: the triangle, the row, and the line's left and right end."""
    low = np.clip(np.ceil(corners[..., 1].min(axis=1)), 0, height).astype(int)
    high = np.clip(np.floor(corners[..., 1].max(axis=1)) + 1, 0, height).astype(int)
    counts = np.maximum(high - low, 0)
    triangle = np.repeat(np.arange(len(corners)), counts)
    row = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts - low, counts)
    ends = corners[triangle]
    others = np.roll(ends, -1, axis=1)
    rise = others[..., 1] - ends[..., 1]
    share = np.divide(row[:, None] - ends[..., 1], rise, out=np.full_like(rise, np.nan), where=rise != 0)
    meets = (share >= 0) & (share <= 1)
    crossing = ends[..., 0] + share * (others[..., 0] - ends[..., 0])
    left = np.where(meets, crossing, np.inf).min(axis=1)
    right = np.where(meets, crossing, -np.inf).max(axis=1)
    return triangle, row, left - 1e-6, right + 1e-6


def _affine_maps(
    corners: Float[np.ndarray, "triangles 3 2"], targets: Float[np.ndarray, "triangles 3 2"]
) -> tuple[Float[np.ndarray, "triangles 2 2"], Float[np.ndarray, "triangles 2"]]:
    """The linear part and the shift of the map that takes each triangle to its target."""
    edges, edges_target = (np.diff(points, axis=1).mT for points in (corners, targets))
    linear = edges_target @ np.linalg.inv(edges)
    return linear, targets[:, 0] - (linear @ corners[:, 0, :, None])[..., 0]


def _mouth_gap(points: Vertices) -> float:
    """How far the lips are apart, in shares of the mouth's width."""
    upper, lower = _facing("inner_lips")
    gaps = np.linalg.norm(points[lower] - points[upper], axis=-1)
    return float(gaps.mean()) / _contour_width(points, "inner_lips")


def _darken_mouth(image: Frame, points: Points, rest_gap: float) -> None:
    """Make the mouth dark inside where closed lips have opened, and the warp shows but stretched lip.

    Args:
        image: changed in place.
        points: landmarks in it, px.
        rest_gap: the still's `_mouth_gap`; from 6 % on there is a mouth's inside to see.
    """
    opened = 1 - rest_gap / max(_mouth_gap(points), rest_gap)
    dark = _DARKNESS * opened * max(1 - rest_gap / 0.06, 0.0)
    lips = points[markup.GROUPS["inner_lips"]]
    soft = 0.02 * _contour_width(points, "inner_lips")
    low = np.maximum(np.floor(lips.min(axis=0) - 3 * soft), 0).astype(int)
    high = np.minimum(np.ceil(lips.max(axis=0) + 3 * soft) + 1, image.shape[1::-1]).astype(int)
    if dark < 0.01 or (low >= high).any():
        return
    mask = np.zeros(tuple(high - low)[::-1], np.float32)
    cv2.fillPoly(mask, [np.round((lips - low) * 16).astype(np.int32)], 1.0, shift=4)
    mask = cv2.GaussianBlur(mask, (0, 0), soft)
    window = image[low[1] : high[1], low[0] : high[0]]
    window[:] = np.round(window * (1 - dark * mask[..., None]))
