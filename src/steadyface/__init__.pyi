from . import errors, geometry, heatmap, images, markup, measures, metrics, stabilizer, tracking, video
from ._version import __version__
from .camera import Camera
from .correction import Correction, correct_points
from .detector import Detector, FaceFinder, YuNetDetector
from .drawing import draw_faces
from .errors import ConfigError, DataError, ExportError, SteadyfaceError, VideoError, WeightsError
from .frontal import add_frontal
from .landmarker import Landmarker, LandmarkModel, Landmarks
from .pipeline import TrackingOptions, track
from .replay import stabilize
from .stabilizer import CausalFilter, Stabilizer, load_stabilizer
from .stills import detect
from .tracking import FaceFilter, TrackedFace, Tracker
from .tracks import Tracks

__all__ = [
    "Camera",
    "CausalFilter",
    "ConfigError",
    "Correction",
    "DataError",
    "Detector",
    "ExportError",
    "FaceFilter",
    "FaceFinder",
    "LandmarkModel",
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
    "add_frontal",
    "correct_points",
    "detect",
    "draw_faces",
    "errors",
    "geometry",
    "heatmap",
    "images",
    "load_stabilizer",
    "markup",
    "measures",
    "metrics",
    "stabilize",
    "stabilizer",
    "track",
    "tracking",
    "video",
]
