"""Linear model of a head: a mesh, identities, expressions, and the vertex of every landmark.

Lengths are cm; x points to the image's right (the subject's left), y up, z out of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from steadyface import markup
from steadyface.files import read_arrays, reading

Vertices = Float[np.ndarray, "vertices 3"]
Triangles = Int[np.ndarray, "triangles 3"]


class Part(IntEnum):
    """Part of the head that a vertex belongs to."""

    FACE = 0
    SKULL = 1
    MOUTH = 2
    TEETH = 3
    EYE = 4
    NONE = 5


_ICT_PARTS = (
    (9409, Part.FACE),
    (11248, Part.SKULL),
    (13294, Part.MOUTH),
    (14062, Part.NONE),  # sockets of the eyes
    (17039, Part.MOUTH),  # gums and tongue
    (21451, Part.TEETH),
    (24591, Part.EYE),
)
"""Ends of the ranges of vertices in ICT-FaceKit, with their parts; the rest is fluid and lashes."""

_PARALLEL_HEIGHT = 0.35  # cm that a vertex may lie above or below a point of the outline
_FRONT = 0.45  # radians from the middle of the face within which a point of the jaw keeps its vertex


@dataclass(frozen=True, eq=False)
class HeadModel:
    """Head model: v = neutral + Σ zᵢ·identityᵢ + Σ wⱼ·expressionⱼ, zᵢ ~ N(0, 1), 0 ≤ wⱼ ≤ 1.

    Args:
        neutral: (vertices, 3).
        identity: (identities, vertices, 3).
        expression: (expressions, vertices, 3).
        names: of the expressions, such as `jawOpen`.
        triangles: (triangles, 3) vertices.
        parts: (vertices,) `Part` of each vertex.
        landmarks: (68,) vertex of each iBUG point.
    """

    neutral: Vertices
    identity: Float[np.ndarray, "identities vertices 3"]
    expression: Float[np.ndarray, "expressions vertices 3"]
    names: tuple[str, ...]
    triangles: Triangles
    parts: Int[np.ndarray, "vertices"]
    landmarks: Int[np.ndarray, "68"]

    @classmethod
    def load(cls, path: str | Path) -> HeadModel:
        """Read ICT-FaceKit's light model from an `.npz` file.

        Args:
            path: of a file with `neutral`, `identity`, `expression`, `expression_names`, `quads` and
                `landmarks68`.

        Raises:
            DataError: the file is missing or of another form.
        """
        kind = "a head model"
        arrays = read_arrays(path, kind)
        with reading(path, kind):
            quads = arrays["quads"].astype(int)
            neutral = arrays["neutral"].astype(float)
            parts = np.full(len(neutral), Part.NONE)
            for end, part in reversed(_ICT_PARTS):
                parts[:end] = part
            triangles = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
            triangles = triangles[(parts[triangles] != Part.NONE).all(axis=1)]
            return cls(
                neutral,
                arrays["identity"].astype(np.float32),
                arrays["expression"].astype(np.float32),
                tuple(str(name) for name in arrays["expression_names"]),
                triangles,
                parts,
                arrays["landmarks68"].astype(int),
            )

    def shape(
        self,
        identity: Float[np.ndarray, "identities"],
        expression: Float[np.ndarray, "expressions"],
    ) -> Vertices:
        """Vertices of a person with an expression."""
        offsets = np.tensordot(identity, self.identity, 1) + np.tensordot(expression, self.expression, 1)
        return np.asarray(self.neutral + offsets)

    def weights(self, **values: float) -> Float[np.ndarray, "expressions"]:
        """Weights of all expressions: those given by name, and 0 for the others."""
        return np.array([values.get(name, 0.0) for name in self.names])

    @cached_property
    def parallels(self) -> tuple[Int[np.ndarray, "candidates"], ...]:
        """For each point of the jaw, the vertices that become the outline as the head turns away.

        They lie between the point and the cheek, at its height; the first is the point's own, and the chin
        has only that.
        """
        jaw = self.landmarks[list(markup.GROUPS["jaw"])]
        return tuple(self._parallel(int(vertex)) for vertex in jaw)

    def _parallel(self, vertex: int) -> Int[np.ndarray, "candidates"]:
        x, y, z = self.neutral.T
        angle = np.arctan2(x, z)
        own = angle[vertex]
        if abs(own) < _FRONT:
            return np.array([vertex])
        near = (self.parts == Part.FACE) & (np.abs(y - y[vertex]) < _PARALLEL_HEIGHT)
        near &= (angle * np.sign(own) > _FRONT) & (np.abs(angle) < abs(own)) & (z > z[vertex])
        return np.concatenate([[vertex], np.flatnonzero(near)])
