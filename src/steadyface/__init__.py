"""68 facial landmarks in high-resolution video: accurate below a pixel, steady from frame to frame.

>>> import steadyface
>>> tracks = steadyface.track("clip.mp4")  # doctest: +SKIP
>>> tracks.points.shape  # doctest: +SKIP
(250, 68, 2)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from steadyface._version import __version__

if TYPE_CHECKING:
    from steadyface import heatmap
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

_HOMES = {
    "detector": ("FaceFinder", "YuNetDetector"),
    "errors": ("ConfigError", "DataError", "ExportError", "SteadyfaceError", "VideoError", "WeightsError"),
    "landmarker": ("Landmarker", "Landmarks"),
    "stabilizer": ("Stabilizer", "load_stabilizer"),
    "tracker": ("TrackedFace", "Tracker", "track"),
    "tracks": ("Tracks",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for, so that the command line starts at once."""
    if name == "heatmap":
        return import_module("steadyface.heatmap")
    if name in _HOME:
        return getattr(import_module(f"steadyface.{_HOME[name]}"), name)
    raise AttributeError(f"module 'steadyface' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
