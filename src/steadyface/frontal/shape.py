"""Shape model of a face: modes by which its 68 points differ between people, and move with expressions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float

from steadyface.files import read_json, reading, write_text
from steadyface.markup import COUNT

_OWN = 1.5  # mm: standard deviation of a person's points from what the modes of identity can give
_KIND = "a shape model of a face"
_BUNDLED = "face_shape.json"


@dataclass(frozen=True, eq=False)
class FaceShape:
    """Linear Gaussian model of a face around `measures.MEAN_FACE`, in its axes, mm.

    Equation: X = MEAN_FACE + Σ zᵢ·identityᵢ + δ + Σ wⱼ·expressionⱼ with zᵢ, wⱼ ~ N(0, 1); δ, of each point
    of a person, ~ N(0, 1.5² mm²).

    Args:
        identity: (k, 68, 3) mm per standard deviation: modes by which people differ.
        expression: (m, 68, 3) mm per standard deviation: modes by which a face moves.
    """

    identity: Float[np.ndarray, "identities 68 3"]
    expression: Float[np.ndarray, "expressions 68 3"]

    @cached_property
    def person_precision(self) -> Float[np.ndarray, "204 204"]:
        """Inverse of the covariance of a person's points around the mean face, 1/mm²."""
        modes = self.identity.reshape(len(self.identity), -1)
        return np.linalg.inv(modes.T @ modes + _OWN**2 * np.eye(3 * COUNT))

    @classmethod
    def load(cls, path: str | Path) -> FaceShape:
        """Read what `save` wrote.

        Raises:
            DataError: the file is missing or of another form.
        """
        values = read_json(path, _KIND)
        with reading(path, _KIND):
            identity, expression = (
                np.array(values[name], float).reshape(-1, COUNT, 3) for name in ("identity", "expression")
            )
            return cls(identity, expression)

    def save(self, path: str | Path) -> Path:
        """Write as `.json`, in hundredths of a mm.

        Raises:
            DataError: the file cannot be written.
        """
        modes = {"identity": self.identity, "expression": self.expression}
        rounded = {name: each.reshape(len(each), -1).round(2).tolist() for name, each in modes.items()}
        return write_text(path, json.dumps(rounded, separators=(",", ":")))


@cache
def bundled_shape() -> FaceShape:
    """The shape model that comes with the package."""
    return FaceShape.load(str(files("steadyface") / "weights" / _BUNDLED))
