"""Displacement of facial landmarks between two frames, measured in the picture."""

from steadyface.motion.coherence import CoherenceConfig, combine
from steadyface.motion.displacement import Displacements, measure_displacements, measure_faces
from steadyface.motion.flow import FaceCrop, FlowConfig, measure_flow
from steadyface.motion.region import (
    face_region,
    follow_region,
    follow_regions,
    robust_similarities,
    robust_similarity,
)
from steadyface.motion.sequence import Motion, MotionSequence, SelectedMotion

__all__ = [
    "CoherenceConfig",
    "Displacements",
    "FaceCrop",
    "FlowConfig",
    "Motion",
    "MotionSequence",
    "SelectedMotion",
    "combine",
    "face_region",
    "follow_region",
    "follow_regions",
    "measure_displacements",
    "measure_faces",
    "measure_flow",
    "robust_similarities",
    "robust_similarity",
]
