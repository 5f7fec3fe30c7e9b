"""Read and write video: forward only, in constant memory, each frame with its real timestamp.

`VideoReader` and `ImageSequence` have one face: an iterator of `VideoFrame` that knows its size, rate and
length before the first frame is taken. `VideoWriter` keeps every timestamp, and can keep a video's sound.
"""

from steadyface.video.reader import ImageSequence, VideoFrame, VideoReader, open_frames
from steadyface.video.writer import VideoWriter

__all__ = ["ImageSequence", "VideoFrame", "VideoReader", "VideoWriter", "open_frames"]
