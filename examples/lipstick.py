"""Colour the lips of a face: make-up that stays where it is put.

    python examples/lipstick.py CLIP OUT.mp4 [RRGGBB]

The lips are the area between the outer and the inner contour, drawn at sub-pixel places with a soft edge. The
stabilised points keep the edge from crawling; held faces, whose shape is a guess, are left bare.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import cv2
import numpy as np

import steadyface
from steadyface import markup
from steadyface.arrays import Frame
from steadyface.cli.terminal import run_script
from steadyface.video import VideoReader, VideoWriter

STRENGTH, SHIFT = 0.45, 4  # share of the colour; OpenCV fills polygons at 1/16 px


def paint(frame: Frame, points: np.ndarray, colour: np.ndarray) -> Frame:
    """The frame with the lips of one face, (68, 2) px, in that colour."""
    mask = np.zeros(frame.shape[:2], np.uint8)
    for group, value in (("outer_lips", 255), ("inner_lips", 0)):
        contour = np.round(points[list(markup.GROUPS[group])] * 2**SHIFT).astype(np.int32)
        cv2.fillPoly(mask, [contour], value, cv2.LINE_AA, SHIFT)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.8, np.ptp(points[:, 0]) / 100))
    share = STRENGTH * soft[..., None].astype(np.float32) / 255
    shade = colour * (0.4 + 0.6 * frame.mean(axis=2, keepdims=True) / 128)  # keeps light and shadow
    return np.clip(frame * (1 - share) + shade * share, 0, 255).astype(np.uint8)


def main(clip: str, out: str, colour: str = "b01030") -> None:
    if Path(out).resolve() == Path(clip).resolve():
        sys.exit(f"{out} is the clip itself: name another file")
    if not re.fullmatch("[0-9a-fA-F]{6}", colour):
        sys.exit(f"the colour must be six hexadecimal digits such as b01030, got {colour!r}")
    tint = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)], np.float32)
    tracker = steadyface.Tracker()
    with VideoReader(clip) as frames, VideoWriter(out, frames.width, frames.height, frames.fps) as writer:
        for frame in frames:
            image = frame.image
            for face in tracker.step(image, frame.seconds):
                image = image if face.held else paint(image, face.points, tint)
            writer.write(image, frame.seconds)


if __name__ == "__main__":
    run_script(main, __doc__)
