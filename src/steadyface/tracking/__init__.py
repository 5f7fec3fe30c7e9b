"""Tracking of several faces through video, one frame at a time."""

from steadyface.tracking.config import (
    AppearanceConfig,
    CutConfig,
    MatchingConfig,
    MotionConfig,
    NamingConfig,
    OcclusionConfig,
    RoiConfig,
    TrackerConfig,
    VerifierConfig,
)
from steadyface.tracking.parts import FaceFilter
from steadyface.tracking.track import TrackedFace
from steadyface.tracking.tracker import Tracker

__all__ = [
    "AppearanceConfig",
    "CutConfig",
    "FaceFilter",
    "MatchingConfig",
    "MotionConfig",
    "NamingConfig",
    "OcclusionConfig",
    "RoiConfig",
    "TrackedFace",
    "Tracker",
    "TrackerConfig",
    "VerifierConfig",
]
