"""Tables of tracked faces, and the files that hold them."""

from __future__ import annotations

from steadyface.tracks.builder import TracksBuilder
from steadyface.tracks.formats import FORMATS
from steadyface.tracks.motion_rows import MotionRows
from steadyface.tracks.schema import COLUMNS, Meta
from steadyface.tracks.table import Tracks

__all__ = ["COLUMNS", "FORMATS", "Meta", "MotionRows", "Tracks", "TracksBuilder"]
