"""Tracking of several faces through video, one frame at a time."""

from steadyface.tracking.config import TrackerConfig
from steadyface.tracking.track import TrackedFace
from steadyface.tracking.tracker import Tracker

__all__ = ["TrackedFace", "Tracker", "TrackerConfig"]
