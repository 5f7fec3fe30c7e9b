"""Tables of tracked faces, and the files that hold them."""

from steadyface.tracks.table import COLUMNS, FORMATS, Meta, Tracks, TracksBuilder

__all__ = ["COLUMNS", "FORMATS", "Meta", "Tracks", "TracksBuilder"]
