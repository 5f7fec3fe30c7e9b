"""Draw tracked faces into frames: the overlays that a person looks at.

`draw_faces` draws into one frame; an `Overlay` makes the pictures of a whole clip, with raw beside stabilised
points or a magnified face where that is asked for.
"""

from steadyface.drawing.overlay import STYLES, Overlay, check_style, draw_faces
from steadyface.drawing.panels import fit_canvas

__all__ = ["STYLES", "Overlay", "check_style", "draw_faces", "fit_canvas"]
