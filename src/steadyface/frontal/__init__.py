"""Pose-free points: a 3-D model of faces fitted to tracked points.

`shape` is the model, `fit` fits it to the points of one person, `layer` adds the result to a table.
"""

from steadyface.frontal.layer import FrontalFaces, add_frontal, camera_values, frontal_faces

__all__ = ["FrontalFaces", "add_frontal", "camera_values", "frontal_faces"]
