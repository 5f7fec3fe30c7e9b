"""68 facial landmarks in high-resolution video: accurate below a pixel, steady from frame to frame.

>>> import steadyface
>>> tracks = steadyface.track("clip.mp4")  # doctest: +SKIP
>>> tracks.points.shape  # doctest: +SKIP
(250, 68, 2)
"""

import os

import lazy_loader

# ONNX Runtime reads this when it is imported, and would write a device id into the home folder then. Every
# module of the package runs after this line, and processes that are started inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# The public names stand in __init__.pyi; each is imported on first use, so that the command line starts fast.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
