"""Annotated still that turns its head, blinks and talks, with the exact path of every landmark.

The face is a linear model of the still: a triangle mesh over its landmarks and two rings around them, and a
displacement of the mesh per degree of freedom (blink, mouth, yaw, pitch, brows). Shift, roll and zoom move
the whole still. Within each triangle the warp is affine, so that the image content at a landmark moves
exactly with the vertex of the mesh. Each frame is interpolated only once.
"""

from steadyface.synthetic.talking_still.scene import TalkingStill

__all__ = ["TalkingStill"]
