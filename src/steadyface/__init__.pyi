from . import heatmap
from ._version import __version__
from .detector import FaceFinder, YuNetDetector
from .errors import ConfigError, DataError, ExportError, SteadyfaceError, VideoError, WeightsError
from .landmarker import Landmarker, Landmarks
from .pipeline import TrackingOptions, track
from .stabilizer import Stabilizer, load_stabilizer
from .tracking import TrackedFace, Tracker
from .tracks import Tracks

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
    "TrackingOptions",
    "Tracks",
    "VideoError",
    "WeightsError",
    "YuNetDetector",
    "__version__",
    "heatmap",
    "load_stabilizer",
    "track",
]
