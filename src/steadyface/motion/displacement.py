"""Displacement of each landmark between two crops of a face, with its covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from steadyface.arrays import Points, PointStack
from steadyface.motion.coherence import CoherenceConfig, combine
from steadyface.motion.flow import FaceCrop, FlowConfig, measure_flows


class Displacements(NamedTuple):
    """Displacement of each landmark from one frame to the next.

    Args:
        displacement: image px.
        covariance: image px²; that of a landmark on an edge is long along the edge.
        valid: whether the picture at the landmark itself was used; elsewhere (covered, out of the crop) the
            displacement is that of the face as a whole, with a larger covariance.
    """

    displacement: Points
    covariance: Float[np.ndarray, "landmarks 2 2"]
    valid: Bool[np.ndarray, "landmarks"]


def measure_displacements(
    before: FaceCrop,
    after: FaceCrop,
    points: Points,
    expected: Points,
    flow: FlowConfig | None = None,
    coherence: CoherenceConfig | None = None,
    step: Points | None = None,
    trust: Float[np.ndarray, "landmarks"] | None = None,
) -> Displacements:
    """Measure the displacement of one face's landmarks between two frames.

    Optical flow at each landmark (`flow.measure_flow`), then each combined with all others of the face
    (`coherence.combine`). A visible point of a crop of 224 px is measured within a few hundredths of a crop
    px; `tests/test_motion_displacement.py` tests the error under shift, roll, zoom, exposure, blur and noise.

    Args:
        before, after: grey crops of the two frames, of one size, each around the face in its own frame.
        points: (68, 2) landmarks in the first frame, image px. They need not be exact: the motion of the skin
            under them is measured.
        expected: (68, 2) where they are expected in the second, image px, within a tenth of the crop.
        flow, coherence: settings; None takes the defaults.
        step, trust: as for `coherence.combine`.
    """
    return measure_faces(
        [before],
        [after],
        points[None],
        expected[None],
        flow,
        coherence,
        None if step is None else step[None],
        None if trust is None else trust[None],
    )[0]


def measure_faces(
    before: Sequence[FaceCrop],
    after: Sequence[FaceCrop],
    points: PointStack,
    expected: PointStack,
    flow: FlowConfig | None = None,
    coherence: CoherenceConfig | None = None,
    step: PointStack | None = None,
    trust: Float[np.ndarray, "faces landmarks"] | None = None,
) -> list[Displacements]:
    """Measure the displacements of several faces at once, as `measure_displacements` does of one.

    Args: as there, one of each for every face. All crops have one size.
    """
    measured = measure_flows(before, after, points, expected, flow)
    together = combine(points, expected, measured, coherence, step, trust)
    return [Displacements(*each) for each in zip(*together, strict=True)]
