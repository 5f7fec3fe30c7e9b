"""The face finder: what it finds, misses and invents, beside OpenCV's Haar cascade and YuNet.

    python benchmarks/finder.py DATA [FINDER.onnx]

DATA holds `faces` (photographs with `faces.json`), and may hold `videos` and `detector/yunet*.onnx`.

- Photographs: those that training holds out, by file, at the finder's side. A face is found where a box
  overlaps it by half (IoU ≥ 0.5); recall counts annotated faces only, a box on one of the others is neither
  right nor wrong. `IoU` is the median over the faces found. Then the same photographs turned by ±45° and
  ±90°, made so small that their first annotated face is 20 to 40 px large, at 15 % of their light, and
  without colour. The last column is the recall at the threshold that gives 0.05 false boxes a photograph.
- Clips: the first frame in which the finder has a box, and in how many frames it has none.
- Speed: median ms of interleaved rounds on two threads, for a 320 × 320 frame and for 720p and 4K.

The cascade comes with OpenCV 4 only and is left out with OpenCV 5; its boxes, and YuNet's, are brought to the
landmark box by constant shares, which were measured on training faces.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from steadyface.arrays import Frame
from steadyface.datasets.face_boxes import read_boxes
from steadyface.demo import portrait
from steadyface.detection_curve import Detections, detection_curve
from steadyface.detector import SIDE, Detector, FaceFinder, YuNetDetector
from steadyface.geometry import Region, bounding_box, box_of_pixels, iou
from steadyface.images import crop_region, resize_to
from steadyface.models import FINDER
from steadyface.training.photos import Photo, hold_out_photos, load_photos
from steadyface.video import open_frames

LEAST_OVERLAP = 0.5
FALSE_PER_PHOTO = 0.05
ROUNDS, WARM_UP, CALLS, THREADS = 15, 3, 10, 2

Find = Callable[[Frame], tuple[np.ndarray, np.ndarray]]
"""An image to boxes and scores, for thresholds to be sought among."""

View = Callable[[Frame, np.ndarray, np.random.Generator], tuple[Frame, np.ndarray]]
"""A photograph and the points of its faces, seen in another way: image and boxes."""


def main(data: str, weights: str = FINDER) -> None:
    cv2.setNumThreads(THREADS)
    detectors: dict[str, Detector] = {"finder": FaceFinder(weights, device="cpu", threads=THREADS)}
    if haar := HaarDetector.load():
        detectors["haar"] = haar
    else:
        print("the Haar cascade is left out: this OpenCV has none")
    for path in sorted(Path(data).glob("detector/yunet*.onnx")):
        detectors["yunet"] = YuNetDetector(path, side=SIDE)
    photographs(Path(data) / "faces", detectors, weights)
    clips(Path(data) / "videos", detectors["finder"])
    speed(detectors)


class HaarDetector:
    """OpenCV's frontal-face cascade on a grey frame of at most 480 px a side, the finder's predecessor."""

    SHARES = np.array([0.086, 0.233, 0.935, 1.079])  # of the rectangle, where the landmark box's borders lie
    SIDE, LEAST, NEIGHBOURS = 480, 0.08, 5

    def __init__(self, path: Path) -> None:
        self._cascade = cv2.CascadeClassifier(str(path))

    @classmethod
    def load(cls) -> HaarDetector | None:
        """The cascade that comes with OpenCV, or None where none does."""
        path = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        return cls(path) if path.is_file() and hasattr(cv2, "CascadeClassifier") else None

    def __call__(self, image: Frame) -> np.ndarray:
        small, to_small = resize_to(image, min(self.SIDE, max(image.shape[:2])))
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        least = max(20, round(self.LEAST * min(grey.shape)))
        found = self._cascade.detectMultiScale(grey, 1.1, self.NEIGHBOURS, minSize=(least, least))
        boxes = np.array([box_of_pixels(*map(float, rectangle)) for rectangle in found]).reshape(-1, 4)
        low, span = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
        return to_small.inverse.boxes(np.hstack([low + self.SHARES[:2] * span, low + self.SHARES[2:] * span]))


# ---------------------------------------------------------------------------------------- photographs


def upright(image: Frame, shapes: np.ndarray, _: np.random.Generator) -> tuple[Frame, np.ndarray]:
    small, to_small = resize_to(image, SIDE)
    return small, bounding_box(to_small(shapes))


def rolled(degrees: float) -> View:
    def view(image: Frame, shapes: np.ndarray, _: np.random.Generator) -> tuple[Frame, np.ndarray]:
        height, width = image.shape[:2]
        whole = Region(width / 2, height / 2, math.hypot(width, height), math.radians(degrees))
        turned, to_turned = crop_region(image, whole, SIDE)
        return turned, bounding_box(to_turned(shapes))

    return view


def small(image: Frame, shapes: np.ndarray, rng: np.random.Generator) -> tuple[Frame, np.ndarray]:
    face = bounding_box(shapes[0])
    share = rng.uniform(20, 40) / (face[2:] - face[:2]).max()
    tiny, to_tiny = resize_to(image, max(1, round(share * max(image.shape[:2]))))
    return tiny, bounding_box(to_tiny(shapes))


def dark(image: Frame, shapes: np.ndarray, rng: np.random.Generator) -> tuple[Frame, np.ndarray]:
    seen, boxes = upright(image, shapes, rng)
    return (seen * np.float32(0.15)).astype(np.uint8), boxes


def grey(image: Frame, shapes: np.ndarray, rng: np.random.Generator) -> tuple[Frame, np.ndarray]:
    seen, boxes = upright(image, shapes, rng)
    return cv2.cvtColor(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), boxes


VIEWS: dict[str, View] = {
    "as they are": upright,
    "turned by +45°": rolled(45),
    "turned by -45°": rolled(-45),
    "turned by +90°": rolled(90),
    "turned by -90°": rolled(-90),
    "faces of 20–40 px": small,
    "15 % of the light": dark,
    "without colour": grey,
}


def photographs(folder: Path, detectors: dict[str, Detector], weights: str) -> None:
    """One row per view and detector."""
    faces = held_out(folder)
    count = sum(int(marks.sum()) for _, marks in faces)
    print(f"\n{len(faces)} photographs held out, {count} annotated faces, longer side {SIDE} px")
    print(f"{'':<20} {'':<8} {'recall %':>8} {'false/photo':>12} {'IoU':>6} {'at .05 %':>9}")
    any_score = FaceFinder(weights, threshold=0.02, device="cpu", threads=THREADS)
    for title, view in VIEWS.items():
        seen = views(faces, view)
        for name, detector in detectors.items():
            found = [match(detector(image), boxes, marks) for image, boxes, marks in seen]
            recall, false, shares = summary(found)
            best = (
                f"{100 - curve(any_score.find, seen).missed_at(FALSE_PER_PHOTO):9.2f}"
                if name == "finder"
                else ""
            )
            print(f"{title:<20} {name:<8} {recall:8.2f} {false:12.3f} {shares:6.3f} {best}", flush=True)


def held_out(folder: Path) -> list[tuple[Photo, np.ndarray]]:
    """The photographs that training holds out, annotated faces first, and which those are."""
    _, names = hold_out_photos(folder)
    listed, faces = read_boxes(folder), []
    for name, photo in zip(names, load_photos(folder, names), strict=True):
        marks = np.array([face.annotated for face in listed[name]])
        order = np.argsort(~marks, kind="stable")
        faces.append((replace(photo, shapes=photo.shapes[order]), marks[order]))
    return faces


def views(faces: list[tuple[Photo, np.ndarray]], view: View) -> list[tuple[Frame, np.ndarray, np.ndarray]]:
    """Image, boxes, and which of them count, of each photograph."""
    rng = np.random.default_rng(0)
    return [(*view(photo.image, photo.shapes, rng), marks) for photo, marks in faces]


def match(boxes: np.ndarray, truth: np.ndarray, counted: np.ndarray) -> tuple[Detections, np.ndarray]:
    """Match the boxes found in one image to its faces, with the best overlap of each face found."""
    best = iou(truth[counted], boxes).max(axis=1, initial=0)
    scores = np.arange(len(boxes), 0, -1.0)  # best first
    return Detections(boxes, scores, truth, counted), best[best >= LEAST_OVERLAP]


def summary(found: list[tuple[Detections, np.ndarray]]) -> tuple[float, float, float]:
    """Recall in %, false boxes per image, median overlap."""
    everything = detection_curve([detections for detections, _ in found], LEAST_OVERLAP)
    shares = np.concatenate([shares for _, shares in found])
    middle = float(np.median(shares)) if len(shares) else math.nan
    return 100 - float(everything.missed[-1]), float(everything.false_per_image[-1]), middle


def curve(find: Find, seen: list[tuple[Frame, np.ndarray, np.ndarray]]):  # type: ignore[no-untyped-def]
    return detection_curve(
        [Detections(*find(image), boxes, marks) for image, boxes, marks in seen], LEAST_OVERLAP
    )


# ---------------------------------------------------------------------------------------------- clips


def clips(folder: Path, finder: Detector) -> None:
    """The first frame with a box, and the frames without one."""
    paths = sorted(path for path in folder.glob("*") if path.is_file())
    if not paths:
        return
    print(f"\n{'clip':<20} {'frames':>6} {'first found in':>15} {'none in':>8}")
    for path in paths:
        hits = [len(finder(frame.image)) > 0 for frame in open_frames(path)]
        first = hits.index(True) if any(hits) else "none"
        print(f"{path.name:<20} {len(hits):>6} {first:>15} {hits.count(False):>8}", flush=True)


# ---------------------------------------------------------------------------------------------- speed


def speed(detectors: dict[str, Detector]) -> None:
    """Median times, all detectors in turns."""
    still = next(iter(portrait())).image
    frames = {
        f"{width} × {height}": cv2.resize(still, (width, height))
        for width, height in ((320, 320), (1280, 720), (3840, 2160))
    }
    times: dict[tuple[str, str], list[float]] = {(size, name): [] for size in frames for name in detectors}
    for _ in range(ROUNDS):
        for (size, name), values in times.items():
            for turn in range(WARM_UP + CALLS):
                began = time.perf_counter()
                detectors[name](frames[size])
                if turn >= WARM_UP:
                    values.append(1e3 * (time.perf_counter() - began))
    print(f"\nms a frame, {THREADS} threads: median of {ROUNDS} × {CALLS} calls")
    medians = {key: float(np.median(values)) for key, values in times.items()}
    for size in frames:
        print(f"{size:<14}" + "".join(f" {name} {medians[size, name]:8.2f}" for name in detectors))
    large, usual = (medians[size, "finder"] for size in list(frames)[:0:-1])
    print(f"finder, 4K over 720p: {large / usual:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
