"""Draw tracked faces into frames.

`draw_faces` draws into one frame. An `Overlay` draws a whole clip, also with raw beside stabilised points or
with a magnified face.
"""

from steadyface.drawing.overlay import STYLES, Overlay, check_style, draw_faces
from steadyface.drawing.panels import fit_canvas

__all__ = ["STYLES", "Overlay", "check_style", "draw_faces", "fit_canvas"]
