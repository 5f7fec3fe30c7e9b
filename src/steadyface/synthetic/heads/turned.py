"""A photograph on a fitted head, turned with its background: new picture, exact points, visible points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.interpolate import RBFInterpolator

from steadyface import markup
from steadyface.arrays import FacePoints, Frame
from steadyface.metrics import interocular
from steadyface.synthetic.heads.fit import HeadFit, Rotation, fit_head
from steadyface.synthetic.heads.model import HeadModel, Part, Triangles, Vertices
from steadyface.synthetic.heads.raster import Drawing, draw

_CELL = 4  # px of the background's grid
_BEHIND = 0.03  # inter-ocular distances that the background lies behind the face's border
_RIM = 0.12  # inter-ocular distances
_HEM = 0.3  # inter-ocular distances by which the background reaches under the face, so that no gap opens
_STILL_FROM = 1.6  # inter-ocular distances from the head from which on the background stands still
_HIDDEN_FROM = 0.06  # inter-ocular distances behind the drawn surface from which on a point is hidden
_SHUT = 0.04  # height of an open mouth below which it shows no inside, inter-ocular distances
_RELAXATIONS = 120
_SUNK = 0.05  # inter-ocular distances that eyeballs go back as lids close over them
_BEYOND = 0.1  # inter-ocular distances outside the outline up to which a vertex belongs to the face
_MARGIN = 0.05  # inter-ocular distances inside the outline from which on a px certainly shows the face
_INSIDES = {Part.MOUTH: (0.45, 0.16, 0.15), Part.TEETH: (0.9, 0.85, 0.78)}  # of the face's brightness


@dataclass(frozen=True, eq=False)
class TurnedFace:
    """A picture made from a photograph.

    Args:
        image: RGB uint8, of the photograph's size.
        points: (68, 2) image px; the jaw follows the outline that the picture shows.
        hidden: (68,) points that the head itself hides, and points outside the picture.
        covered: (68,) points behind an object drawn over the picture.
    """

    image: Frame
    points: FacePoints
    hidden: Bool[np.ndarray, "68"]
    covered: Bool[np.ndarray, "68"]

    @property
    def visible(self) -> Bool[np.ndarray, "68"]:
        """Points that nothing hides."""
        return ~(self.hidden | self.covered)


class HeadPhoto:
    """A photograph of one face with a head fitted to it.

    Args:
        image: RGB uint8, with the head well inside it.
        points: (68, 2) annotated points, image px. After the fit the mesh is warped onto them, so that they
            are exact.
        model: of the head.
    """

    def __init__(self, image: Frame, points: FacePoints, model: HeadModel) -> None:
        self.image, self.points, self.model = image, points, model
        self.fit: HeadFit = fit_head(model, points)
        shape = model.shape(self.fit.identity, self.fit.expression)
        self._placed = self._warped_onto(points, shape)
        self._eyes = float(interocular(points))
        skin = model.triangles[np.isin(model.parts[model.triangles], (Part.FACE, Part.SKULL)).all(axis=1)]
        height, width = image.shape[:2]
        head = draw(self._placed, skin, height, width)
        self._grid, self._grid_weights, self._grid_triangles = self._background(head, skin)
        self._skin, self._on_face = self._skin_only(), self._vertices_on_face()

    def _warped_onto(self, points: FacePoints, shape: Vertices) -> Vertices:
        """The head in the picture, warped so that its landmarks lie on the annotated points."""
        placed = self.fit.place(shape)
        at = self.model.landmarks
        # Inner lips that touch in the picture may be apart in the model, or vice versa: hence the smoothing.
        spread = RBFInterpolator(
            shape[at], points - placed[at, :2], kernel="linear", smoothing=0.05, degree=0
        )
        placed[:, :2] += spread(shape)
        return placed

    def turned(
        self, yaw: float = 0.0, pitch: float = 0.0, *, closed: float = 0.0, opened: float = 0.0
    ) -> TurnedFace:
        """Turn the face, perhaps with its eyes closed or its mouth opened.

        Args:
            yaw: towards the image's right, radians.
            pitch: downwards, radians.
            closed: fraction of the gap between the lids that is closed, from 0 (as they are) to 1.
            opened: opening of the jaw, from 0 (as it is) to 1.
        """
        rotation = _rotation(yaw, pitch)
        head = self._rotated(self._placed + self._closing(closed) + self._opening(opened), rotation)
        grid = self._rotated(self._grid, rotation) * self._grid_weights
        grid += self._grid * (1 - self._grid_weights)
        vertices = np.concatenate([head, grid])
        shown = self.model.triangles[(self.model.parts[self.model.triangles] != Part.SKULL).all(axis=1)]
        triangles = np.concatenate([shown, self._grid_triangles + len(head)])
        drawing = draw(vertices, triangles, *self.image.shape[:2])
        image = self._painted(drawing, triangles, opened > 0)
        at = self._landmarks(head, yaw)
        kept = self.points - self._placed[self.model.landmarks, :2]
        hidden = self._hidden(head[at], drawing)
        return TurnedFace(image, head[at, :2] + kept, hidden, np.zeros_like(hidden))

    def _moved(self, weights: Float[np.ndarray, "expressions"]) -> Vertices:
        """Displacement of the vertices by a change of expression, px of the picture."""
        used = np.flatnonzero(weights)
        offset = np.tensordot(weights[used], self.model.expression[used], 1)
        return self.fit.place(offset) - self.fit.place(np.zeros((1, 3)))

    def _opening(self, opened: float) -> Vertices:
        jaw = self.model.weights(jawOpen=opened)
        return self._moved(np.clip(self.fit.expression + jaw, 0, 1) - self.fit.expression)

    def _closing(self, closed: float) -> Vertices:
        """Displacement that closes a fraction of the gap between the lids, for each eye by itself."""
        moved = np.zeros_like(self._placed)
        if closed == 0:
            return moved
        for eye, name in zip(markup.EYES, ("eyeBlink_R", "eyeBlink_L"), strict=True):
            blink = self._moved(self.model.weights(**{name: 1.0}))
            upper, lower = markup.facing(eye)
            above, below = self.model.landmarks[upper], self.model.landmarks[lower]
            gap = (self._placed[below] - self._placed[above])[:, 1].mean()
            shut = (blink[above] - blink[below])[:, 1].mean()
            moved += blink * closed * max(gap, 0.0) / shut
        moved[self.model.parts == Part.EYE, 2] -= _SUNK * self._eyes  # never through a lid
        return moved

    def _rotated(self, placed: Vertices, rotation: Rotation) -> Vertices:
        pivot = np.array([*self.fit.shift, 0.0])
        return np.asarray((placed - pivot) @ rotation.T + pivot)

    def _landmarks(self, head: Vertices, yaw: float) -> np.ndarray:
        """Vertex of each point; of the jaw's points on the side that turns away, the outermost candidate."""
        at = self.model.landmarks.copy()
        if yaw == 0:
            return at
        jaw, side = markup.GROUPS["jaw"], math.copysign(1.0, yaw)
        for number in jaw:
            candidates = self.model.parallels[number]
            if side * self.model.neutral[candidates[0], 0] > 0:
                at[number] = candidates[np.argmax(side * head[candidates, 0])]
        return at

    def _hidden(self, points: Vertices, drawing: Drawing) -> Bool[np.ndarray, "68"]:
        """Points outside the picture, or behind the drawn surface in all of the 3 × 3 px around them."""
        height, width = drawing.depth.shape
        x, y = np.round(points[:, :2]).astype(int).T
        inside = (x >= 1) & (x < width - 1) & (y >= 1) & (y < height - 1)
        x, y = np.clip(x, 1, width - 2), np.clip(y, 1, height - 2)
        steps = (-1, 0, 1)
        around = np.stack([drawing.depth[y + dy, x + dx] for dy in steps for dx in steps])
        return np.asarray(~inside | (around.min(axis=0) > points[:, 2] + _HIDDEN_FROM * self._eyes))

    def _background(
        self, head: Drawing, skin: Triangles
    ) -> tuple[Float[np.ndarray, "nodes 3"], Float[np.ndarray, "nodes 1"], Int[np.ndarray, "cells 3"]]:
        """Grid over the picture, the fraction by which each node turns with the head, and the triangles."""
        height, width = self.image.shape[:2]
        columns, rows = (
            np.arange(0, length + _CELL, _CELL).clip(max=length - 1) for length in (width, height)
        )
        y, x = (lines.ravel() for lines in np.meshgrid(rows, columns, indexing="ij"))
        covered = head.triangle >= 0
        # A chord of the grid must not cut through the head's rim: the grid takes the lowest depth around.
        reach = np.ones((2 * round(_RIM * self._eyes) + 1,) * 2)
        lowest = cv2.erode(np.where(covered, head.depth, np.inf), reach, borderValue=np.inf)
        depth = _filled(lowest, covered, rows, columns) - _BEHIND * self._eyes
        away = cv2.distanceTransform((~covered).astype(np.uint8), cv2.DIST_L2, 5)[y, x]
        nearness = np.clip(1 - away / (_STILL_FROM * self._eyes), 0, 1)
        face = (self.model.parts[skin[head.triangle]] == Part.FACE).all(axis=-1) & covered
        features = cv2.convexHull(np.round(self.points[len(markup.GROUPS["jaw"]) :]).astype(np.int32))
        face = cv2.fillConvexPoly(face.astype(np.uint8), features, 1)  # eyes and an open mouth are holes
        hem = np.ones((2 * round(_HEM * self._eyes) + 1,) * 2)
        inner = cv2.erode(face, hem)[y, x].astype(bool)
        number = np.arange(len(x)).reshape(len(rows), len(columns))
        a, b, c, d = (
            number[dy : dy - 1 or None, dx : dx - 1 or None].ravel() for dy in (0, 1) for dx in (0, 1)
        )
        triangles = np.concatenate([np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)])
        triangles = triangles[~inner[triangles].all(axis=1)]
        weights = nearness**2 * (3 - 2 * nearness)
        return np.stack([x, y, depth], axis=1).astype(float), weights[:, None], triangles

    def _painted(self, drawing: Drawing, triangles: Triangles, opened: bool) -> Frame:
        """Paint a drawing with the photograph, and the inside of a mouth that was shut in plain colours."""
        source = drawing.spread(triangles, np.concatenate([self._placed[:, :2], self._grid[:, :2]]))
        empty = drawing.triangle < 0  # there the photograph stays as it is
        source[empty] = np.argwhere(empty)[:, ::-1]
        x, y = (source[..., k].astype(np.float32) for k in (0, 1))
        image, skin = (
            cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for picture in (self.image, self._skin)
        )
        on_face = np.concatenate([self._on_face, np.zeros(len(self._grid), bool)])[triangles].all(axis=1)
        shows_face = on_face[drawing.triangle] & ~empty
        image[shows_face] = skin[shows_face]
        upper, lower = markup.facing("inner_lips")
        gap = np.linalg.norm(self.points[upper] - self.points[lower], axis=1).mean()
        shut = gap < _SHUT * self._eyes
        if opened and shut:
            parts = np.concatenate([self.model.parts, np.full(len(self._grid), Part.NONE)])[triangles]
            x0, y0 = np.round(self.points[markup.NOSE_TIP]).astype(int)
            brightness = float(self._skin[y0, x0].mean())
            for part, colour in _INSIDES.items():
                inside = (parts == part).all(axis=1)[drawing.triangle] & ~empty
                image[inside] = np.clip(np.array(colour) * brightness, 0, 255)
        return np.asarray(image)

    def _face_outline(self, margin: float) -> Float[np.ndarray, "corners 2"]:
        """The jaw, moved outwards by `margin` inter-ocular distances, and continued far above its ends."""
        jaw = self.points[list(markup.GROUPS["jaw"])]
        middle = self.points.mean(axis=0)
        across = (jaw[-1] - jaw[0]) / np.linalg.norm(jaw[-1] - jaw[0])
        up, far = np.array([across[1], -across[0]]), 2.0 * max(self.image.shape[:2])
        outwards = (jaw - middle) / np.linalg.norm(jaw - middle, axis=1)[:, None]
        moved = jaw + outwards * margin * self._eyes
        ends = [moved[-1] + far * (up + across), moved[0] + far * (up - across)]
        return np.concatenate([moved, ends])

    def _inside(self, outline: Float[np.ndarray, "corners 2"]) -> Bool[np.ndarray, "height width"]:
        mask = np.zeros(self.image.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
        return mask.astype(bool)

    def _skin_only(self) -> Frame:
        """The photograph with the face's colours continued outside its outline."""
        inside = self._inside(self._face_outline(-_MARGIN))
        outside = (~inside).astype(np.uint8)
        _, labels = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        colours = np.zeros((labels.max() + 1, 3), np.uint8)
        colours[labels[inside]] = self.image[inside]
        return np.asarray(colours[labels])

    def _vertices_on_face(self) -> Bool[np.ndarray, "vertices"]:
        """Vertices of the face, which have to show skin even where the photograph shows background."""
        height, width = self.image.shape[:2]
        mask = self._inside(self._face_outline(_BEYOND))
        x, y = np.clip(np.round(self._placed[:, :2]), 0, [width - 1, height - 1]).astype(int).T
        return np.asarray(mask[y, x])


def _rotation(yaw: float, pitch: float) -> Rotation:
    """Rotation of image axes (x right, y down, z towards the viewer): first pitch, then yaw."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    aside = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    cos, sin = math.cos(pitch), math.sin(pitch)
    return aside @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])


def _filled(
    depth: Float[np.ndarray, "height width"],
    known: Bool[np.ndarray, "height width"],
    rows: np.ndarray,
    columns: np.ndarray,
) -> Float[np.ndarray, "nodes"]:
    """Depth on a grid: the head's own, the head's back at the border, and a smooth membrane between."""
    fixed = known[np.ix_(rows, columns)]
    values = np.where(fixed, depth[np.ix_(rows, columns)], 0.0)
    back = float(values[fixed].min()) if fixed.any() else 0.0
    values = np.where(fixed, values, back)
    free = ~fixed
    free[[0, -1]] = free[:, [0, -1]] = False
    for _ in range(_RELAXATIONS):
        padded = np.pad(values, 1, mode="edge")
        mean = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
        values = np.where(free, mean, values)
    return values.ravel()
