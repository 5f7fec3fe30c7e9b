"""Scene of an annotated still as a moving head, with the path of every landmark."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float

from steadyface import markup
from steadyface.arrays import Frame, Points
from steadyface.geometry import Affine, bounding_box, face_size
from steadyface.metrics import interocular
from steadyface.synthetic.occluder import Occluder, OccluderKind, crossing
from steadyface.synthetic.talking_still import rendering
from steadyface.synthetic.talking_still.face import Face, Vertices
from steadyface.synthetic.talking_still.script import Script
from steadyface.video import VideoFrame

_EXPOSURES = 5
_CHEEKS = (1, 3, 13, 15)  # landmarks around both cheeks and the nose


@dataclass(frozen=True)
class TalkingStill:
    """Annotated still as a moving head: it rests, turns, blinks, raises its brows and talks.

    All motion is a smooth function of time, drawn by `seed`. Closed lids and lips, whose landmarks coincide
    or overlap, are parted by 3 % of the width of the eye and 1.5 % of that of the mouth, so they can open;
    `rest` holds the result. Motion that would fold the mesh is made smaller.

    Args:
        still: RGB uint8.
        points: (68, 2) annotated landmarks, px of the still.
        eyes_px: distance of the outer eye corners in the frame, px, on average.
        width, height: of the frames, px; the face is in the middle on average.
        fps: frames per second.
        seconds: length.
        seed: of all that is random.
        shift: motion of the head to each side, relative to `geometry.face_size`.
        roll, yaw, pitch: largest angles, degrees.
        zoom: largest relative change of the face's size.
        blinks: per minute on average; the time between two varies by ± 43 %. 0 for none.
        eyes: those that blink, of `markup.EYES`; one alone winks.
        mouth: motion of the lower lip in speech, relative to the width of the mouth.
        brows: motion of raised brows, relative to the distance of the outer eye corners.
        noise: standard deviation of the sensor noise, grey levels.
        shutter: exposure relative to the frame time, which blurs motion; 0 for none. Truth is mid-exposure.
        quality: of a JPEG that each frame passes through, 1 to 100; None for none.
        exposure: largest change of the exposure to each side, in stops; 0 for none.
        occluder: an object in front of the face; see `crossed_by`.
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
    eyes: tuple[str, ...] = markup.EYES
    mouth: float = 0.3
    brows: float = 0.06
    noise: float = 3.0
    shutter: float = 0.0
    quality: int | None = None
    exposure: float = 0.0
    occluder: Occluder | None = None

    def __len__(self) -> int:
        return round(self.seconds * self.fps)

    def __iter__(self) -> Iterator[VideoFrame]:
        return (self.frame(index) for index in range(len(self)))

    def frame(self, index: int) -> VideoFrame:
        """Render one frame; the order of calls does not matter."""
        seconds = index / self.fps
        image = self._exposed(seconds)
        if self.noise:
            image = rendering.with_noise(image, self.noise, np.random.default_rng([self.seed, index]))
        if self.quality is not None:
            image = rendering.through_jpeg(image, self.quality)
        return VideoFrame(index, seconds, image)

    @property
    def rest(self) -> Points:
        """(68, 2) px of the still: the annotated landmarks, with closed lids and lips parted."""
        return self._face.rest[: markup.COUNT]

    def truth(self, seconds: float) -> Points:
        """(68, 2) px of the frame: true position of every landmark at a time."""
        return self._vertices(seconds)[: markup.COUNT]

    def covered(self, seconds: float) -> Bool[np.ndarray, "68"]:
        """Landmarks that the occluder hides at a time."""
        if self.occluder is None:
            return np.zeros(markup.COUNT, bool)
        return self.occluder.covers(self.truth(seconds), seconds)

    def crossed_by(self, kind: OccluderKind, start: float = 1.0, seconds: float = 1.0) -> TalkingStill:
        """The same scene with an object that crosses the face.

        Args:
            kind: of object; `seed` draws its texture, its side and its angle.
            start: time at which it reaches the face.
            seconds: time from there until it has left the face.
        """
        face = self.truth(start + seconds / 2)
        skin = rendering.mean_colour(self.still, self.points[list(_CHEEKS)])
        return replace(self, occluder=crossing(kind, face, skin, self.seed, start, seconds))

    def to_frame(self, seconds: float) -> Affine:
        """Map of the head's shift, roll and zoom: from px of the still to px of the frame at a time."""
        x, y, roll, grow = self._script.head(seconds)[:4]
        scale, angle = self._scale * (1 + self.zoom * grow), math.radians(self.roll) * roll
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        linear = np.array([[cos, -sin], [sin, cos]])
        shift = self.shift * self._scale * float(face_size(self.points)) * np.array([x, y])
        middle = np.array([self.width - 1, self.height - 1]) / 2
        centre = bounding_box(self.points).reshape(2, 2).mean(axis=0)
        return Affine(np.column_stack([linear, middle + shift - linear @ centre]))

    @cached_property
    def _scale(self) -> float:
        return self.eyes_px / float(interocular(self.points))

    @cached_property
    def _face(self) -> Face:
        points = self.points.astype(float)
        return Face.of_points(
            points, eyes=self.eyes, mouth=self.mouth, yaw=self.yaw, pitch=self.pitch, brows=self.brows
        )

    @cached_property
    def _lid_colours(self) -> dict[str, Float[np.ndarray, "3"]]:
        return {eye: rendering.lid_colour(self.still, self.points, eye) for eye in self.eyes}

    @cached_property
    def _script(self) -> Script:
        return Script.drawn(self.seed, self.seconds, self.blinks)

    @cached_property
    def _source(self) -> tuple[Frame, Affine]:
        return rendering.averaged(self.still, self._scale)

    def _vertices(self, seconds: float) -> Vertices:
        return self.to_frame(seconds)(self._face.shape(self._script.weights(seconds, self._face.closing)))

    def _exposed(self, seconds: float) -> Frame:
        """Mean of the sharp frames during the exposure."""
        if not self.shutter:
            return self._sharp(seconds)
        middles = (np.arange(_EXPOSURES) + 0.5) / _EXPOSURES - 0.5
        light = np.full((self.height, self.width, 3), _EXPOSURES // 2, np.uint16)
        for time in seconds + middles * self.shutter / self.fps:
            light += self._sharp(float(time))
        return (light // _EXPOSURES).astype(np.uint8)

    def _sharp(self, seconds: float) -> Frame:
        """Frame without motion blur, noise and JPEG."""
        source, to_source = self._source
        face, vertices = self._face, self._vertices(seconds)
        back = self.to_frame(seconds).inverse.then(to_source)
        x, y = rendering.whole_map(back, self.width, self.height)
        rendering.draw_triangles(x, y, vertices[face.triangles], to_source(face.rest)[face.triangles])
        method = cv2.INTER_CUBIC if self._scale > to_source.scale else cv2.INTER_LINEAR
        image = cv2.remap(source, x, y, method, borderMode=cv2.BORDER_REFLECT_101)
        rendering.darken_mouth(image, vertices[: markup.COUNT], self.rest)
        rendering.draw_lids(image, vertices[: markup.COUNT], self.rest, self._lid_colours)
        if self.occluder is not None:
            self.occluder.draw(image, seconds)
        if self.exposure:
            return rendering.exposed(image, self.exposure * self._script.light(seconds))
        return image
