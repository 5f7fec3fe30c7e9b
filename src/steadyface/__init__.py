"""68 facial landmarks in high-resolution video: accurate below a pixel, steady from frame to frame.

>>> import steadyface
>>> tracks = steadyface.track("clip.mp4")  # doctest: +SKIP
>>> tracks.points.shape  # doctest: +SKIP
(250, 68, 2)
"""

from steadyface import heatmap
from steadyface._version import __version__
from steadyface.detector import FaceFinder, YuNetDetector
from steadyface.errors import (
    ConfigError,
    DataError,
    ExportError,
    SteadyfaceError,
    VideoError,
    WeightsError,
)
from steadyface.landmarker import Landmarker, Landmarks
from steadyface.stabilizer import Stabilizer, load_stabilizer
from steadyface.tracker import TrackedFace, Tracker, track
from steadyface.tracks import Tracks

__all__ = [
    "ConfigError",
    "DataError",
    "ExportError",
    "FaceFinder",
    "Landmarker",
    "Landmarks",
    "Stabilizer",
    "SteadyfaceError",
    "TrackedFace",
    "Tracker",
    "Tracks",
    "VideoError",
    "WeightsError",
    "YuNetDetector",
    "__version__",
    "heatmap",
    "load_stabilizer",
    "track",
]
