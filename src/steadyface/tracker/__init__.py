"""Frames → tracked faces: who is who, region of interest, stabiliser, loss and return.

`Tracker` takes one frame at a time, `track` a whole file.
"""

from steadyface.tracker.choice import STABILIZERS, Choice, choose_stabilizer
from steadyface.tracker.config import TrackerConfig
from steadyface.tracker.faces import TrackedFace
from steadyface.tracker.table import add_rows, describe, follow, track, tracked_faces
from steadyface.tracker.tracker import Tracker

__all__ = [
    "STABILIZERS",
    "Choice",
    "TrackedFace",
    "Tracker",
    "TrackerConfig",
    "add_rows",
    "choose_stabilizer",
    "describe",
    "follow",
    "track",
    "tracked_faces",
]
