"""One contender in a process and an environment of its own, driven by benchmarks/peers.py through a socket.

    python worker.py SOCKET NAME FACES

SOCKET is the number of an open file, NAME one of `CONTENDERS`, FACES how many it may find at a time. A
contender takes frames (RGB uint8) and gives for each face the 68 points of iBUG, px, pixel centres at
integers, NaN where its own markup has no counterpart. It imports what it needs when it is made, so that this
file runs where only that contender is installed. Nothing here is imported by benchmarks/peers.py.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

THREADS = 2

# MediaPipe's mesh vertices that lie closest to iBUG's points 17 to 67: `peers.py DATA --parts mapping`. The
# jaw has none: iBUG's is the outline that is seen, the mesh's stays on the skin.
FIRST_MAPPED = 17
MESH: tuple[int, ...] = (
    *(70, 63, 105, 66, 107),  # right brow
    *(336, 296, 334, 293, 300),  # left brow
    *(168, 197, 195, 4),  # bridge of the nose
    *(75, 97, 2, 326, 305),  # base of the nose
    *(33, 160, 158, 155, 153, 144),  # right eye
    *(382, 385, 387, 263, 373, 380),  # left eye
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
VERTICES = 468  # of the mesh, the irises of the refined one left out

# dlib's box from that of the 68 points: a square, its side over the longer side, its centre so many sides
# higher. Of 32 such boxes the one with the least NRMSE on every sixth training face of LFPW and HELEN.
DLIB_SIDE, DLIB_HIGHER = 1.15, 0.08

Frame = np.ndarray
Faces = np.ndarray
"""(N, 68, 2) px; of `MediaPipe mesh` all 468 vertices."""


class Steadyface:
    """The whole tracker: finder, landmarker and a stabiliser."""

    def __init__(
        self, faces: int, weights: str, stabilizer: str = "sta", network_every: int | str = "auto"
    ) -> None:
        import cv2

        from steadyface.detector import FaceFinder
        from steadyface.landmarker import Landmarker
        from steadyface.tracking import Tracker, TrackerConfig

        cv2.setNumThreads(THREADS)
        self._landmarker = Landmarker(weights, device="cpu")
        finder = FaceFinder(device="cpu")
        config = TrackerConfig(max_faces=faces)
        self._tracker = Tracker(self._landmarker, finder, stabilizer, config, network_every=network_every)

    def start(self) -> None:
        self._tracker.reset()

    def track(self, path: str) -> Iterator[object]:
        """A file's frames, as `steadyface.track` goes through them."""
        from steadyface.pipeline import follow
        from steadyface.video import VideoReader, read_ahead

        with VideoReader(path) as reader, closing(read_ahead(reader)) as taken:
            yield from follow(taken, self._tracker)

    def __call__(self, frame: Frame, seconds: float) -> Faces:
        return stacked([face.points for face in self._tracker.step(frame, seconds) if not face.held])

    def in_box(self, frame: Frame, box: np.ndarray) -> Faces:
        return self._landmarker.predict(frame, box).points[None]


class Dlib:
    """The predictor in the boxes of the HOG detector; `follow` asks that one only for the first frame.

    Where it follows, the next box is around the last points. dlib does not say when a face is lost.
    """

    def __init__(self, faces: int, follow: bool = False) -> None:
        import dlib

        files = importlib.metadata.files("face_recognition_models") or []
        [weights] = [file for file in files if file.name == "shape_predictor_68_face_landmarks.dat"]
        self._detect, self._predict = (
            dlib.get_frontal_face_detector(),
            dlib.shape_predictor(str(weights.locate())),
        )
        self._rectangle, self._most, self._follow = dlib.rectangle, faces, follow
        self.start()

    def start(self) -> None:
        self._last: list[np.ndarray] = []

    def __call__(self, frame: Frame, seconds: float) -> Faces:
        if self._follow and self._last:
            found = [self._in_box(frame, box_around(points)) for points in self._last]
        else:
            rectangles = sorted(self._detect(frame), key=lambda rectangle: -rectangle.area())
            found = [self._points(frame, rectangle) for rectangle in rectangles[: self._most]]
        self._last = found
        return stacked(found)

    def in_box(self, frame: Frame, box: np.ndarray) -> Faces:
        return self._in_box(frame, box)[None]

    def _in_box(self, frame: Frame, box: np.ndarray) -> np.ndarray:
        side = DLIB_SIDE * (box[2:] - box[:2]).max()
        x, y = (box[:2] + box[2:]) / 2 - (0, DLIB_HIGHER * side)
        borders = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        return self._points(frame, self._rectangle(*(round(float(value)) for value in borders)))

    def _points(self, frame: Frame, rectangle: Any) -> np.ndarray:
        return np.array([(point.x, point.y) for point in self._predict(frame, rectangle).parts()], float)


class MediaPipe:
    """FaceMesh. `still` looks for faces in every frame; `refine` adds its network for eyes and lips.

    Its coordinates are shares of the frame with pixel centres at halves: those of a picture and of its
    mirror image add up to the width.
    """

    def __init__(self, faces: int, still: bool = False, refine: bool = False, whole: bool = False) -> None:
        from mediapipe import solutions

        silence_log()
        self._still, self._whole = still, whole
        self._mesh = solutions.face_mesh.FaceMesh(
            static_image_mode=still, max_num_faces=faces, refine_landmarks=refine
        )

    def start(self) -> None:
        if not self._still:
            self._mesh.reset()

    def __call__(self, frame: Frame, seconds: float) -> Faces:
        height, width = frame.shape[:2]
        found = self._mesh.process(frame).multi_face_landmarks or []
        meshes = [np.array([(point.x, point.y) for point in face.landmark]) for face in found]
        return stacked([self._chosen(mesh * (width, height) - 0.5) for mesh in meshes])

    def _chosen(self, mesh: np.ndarray) -> np.ndarray:
        return mesh[:VERTICES] if self._whole else mapped(mesh)


class MediaPipeTask:
    """The Face Landmarker of MediaPipe's Tasks, with the file that $MEDIAPIPE_TASK names; image by image."""

    def __init__(self, faces: int) -> None:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        silence_log()
        settings = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=os.environ["MEDIAPIPE_TASK"]), num_faces=faces
        )
        self._landmarker = vision.FaceLandmarker.create_from_options(settings)
        self._image = partial(mediapipe.Image, image_format=mediapipe.ImageFormat.SRGB)

    def start(self) -> None:
        """Nothing: no image knows of another."""

    def __call__(self, frame: Frame, seconds: float) -> Faces:
        height, width = frame.shape[:2]
        found = self._landmarker.detect(self._image(data=frame)).face_landmarks
        meshes = [np.array([(point.x, point.y) for point in face]) for face in found]
        return stacked([mapped(mesh * (width, height) - 0.5) for mesh in meshes])


def silence_log() -> None:
    """Send what MediaPipe logs to nowhere: it has no other switch. Python keeps its stderr."""
    sys.stderr = os.fdopen(os.dup(2), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def mapped(mesh: np.ndarray) -> np.ndarray:
    """The 68 points of a mesh, px; the jaw is NaN."""
    return np.concatenate([np.full((FIRST_MAPPED, 2), np.nan), mesh[list(MESH)]])


CONTENDERS: dict[str, Callable[[int], Any]] = {
    "steadyface compact": partial(Steadyface, weights="compact"),
    "steadyface compact, raw": partial(Steadyface, weights="compact", stabilizer="none"),
    "steadyface tiny": partial(Steadyface, weights="tiny"),
    "steadyface tiny, every frame": partial(Steadyface, weights="tiny", network_every=1),
    "steadyface nano": partial(Steadyface, weights="nano"),
    "dlib": Dlib,
    "dlib, following": partial(Dlib, follow=True),
    "MediaPipe video": MediaPipe,
    "MediaPipe video, refined": partial(MediaPipe, refine=True),
    "MediaPipe still": partial(MediaPipe, still=True),
    "MediaPipe still, refined": partial(MediaPipe, still=True, refine=True),
    "MediaPipe landmarker": MediaPipeTask,
    "MediaPipe mesh": partial(MediaPipe, still=True, refine=True, whole=True),
}


def stacked(faces: list[np.ndarray]) -> Faces:
    return np.array(faces) if faces else np.zeros((0, 68, 2))


def box_around(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def decode(path: str) -> Iterator[Frame]:
    """A video's frames, for contenders that have no reader of their own."""
    to_rgb = VideoReformatter()  # kept: a frame's own `to_ndarray` sets one up each time, which takes longer
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = THREADS
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            yield to_rgb.reformat(frame, format="rgb24", threads=THREADS).to_ndarray()


def time_clip(contender: Any, path: str, decoded: bool) -> float:
    """Frames per second from the second frame on; with the first one, networks are loaded."""
    contender.start()
    if decoded:
        done = through(contender, list(decode(path)))
    elif hasattr(contender, "track"):
        done = contender.track(path)
    else:
        done = through(contender, decode(path))
    next(done)
    began = time.perf_counter()
    count = sum(1 for _ in done)
    return count / (time.perf_counter() - began)


def through(contender: Any, frames: Iterable[Frame]) -> Iterator[Faces]:
    """One frame after another, at 30 a second."""
    return (contender(frame, count / 30) for count, frame in enumerate(frames))


def answer(contender: Any, order: str, arguments: list[Any], host: Connection) -> Any:
    if order == "start":
        return contender.start()
    if order == "time":
        return time_clip(contender, *arguments)
    shape, where = arguments
    frame = np.frombuffer(host.recv_bytes(), np.uint8).reshape(shape)
    found = contender.in_box(frame, np.array(where)) if order == "box" else contender(frame, where)
    return found.tolist()


def end_with(parent: int) -> None:
    """End this process soon after its parent, also in the middle of a clip."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main(socket: str, name: str, faces: str) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    Thread(target=end_with, args=[os.getppid()], daemon=True).start()
    contender, host = CONTENDERS[name](int(faces)), Connection(int(socket))
    while True:
        try:
            order, *arguments = host.recv()
        except EOFError:
            return
        host.send(answer(contender, order, arguments, host))


if __name__ == "__main__":
    main(*sys.argv[1:])
