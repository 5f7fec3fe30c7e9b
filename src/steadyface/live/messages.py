"""What page and server say to each other: frames and faces as bytes, all else as JSON.

All numbers are little-endian.

frame    sequence number u32, seconds f64, width u16, height u16; a JPEG of that size
answer   sequence number u32, frames dropped so far u32, faces u32, milliseconds f32, rows recorded u32; faces
face     identity u32, held u32, jitter raw f32, jitter stabilised f32; f32 points (68, 2), raw points
         (68, 2), scores (68)
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from steadyface import markup
from steadyface.errors import ConfigError
from steadyface.heatmap import METHODS
from steadyface.images import Frame
from steadyface.stabilizer.choice import STABILIZERS, choose_stabilizer
from steadyface.tracking import TrackedFace

LONGEST_SIDE = 1920
"""Most px of a frame's longer side."""

MOST_BYTES = 4 << 20
"""Of any message; a JPEG of the largest frame stays well below."""

CAUSAL_STABILIZERS = tuple(name for name in STABILIZERS if choose_stabilizer(name).offline is None)

_FRAME, _ANSWER, _FACE = struct.Struct("<IdHH"), struct.Struct("<IIIfI"), struct.Struct("<IIff")
_MOST_CHARACTERS = 500  # of a JSON message; the limit also keeps its nesting harmless


@dataclass(frozen=True)
class FrameMessage:
    """A frame as it came from the page.

    Args:
        sequence: its number, from the page.
        seconds: when it was taken, by the page's clock.
        image: RGB uint8.
    """

    sequence: int
    seconds: float
    image: Frame


@dataclass(frozen=True)
class Answer:
    """What was found in one frame.

    Args:
        sequence: of the frame.
        faces: in px of the frame.
        jitter: of each face: raw and stabilised, as `steadiness.LastSecond` gives them.
        dropped: frames of this session that were never looked at.
        milliseconds: that decoding and tracking took.
        recorded: rows of the recording so far.
    """

    sequence: int
    faces: Sequence[TrackedFace]
    jitter: Sequence[tuple[float, float]]
    dropped: int
    milliseconds: float
    recorded: int


def read_frame(data: bytes) -> FrameMessage:
    """The frame in a binary message.

    Raises:
        ConfigError: too short, a time that is not finite, or not a JPEG of the size that it names.
    """
    if len(data) <= _FRAME.size:
        raise ConfigError(f"a frame is a header of {_FRAME.size} bytes and a JPEG, got {len(data)} bytes")
    sequence, seconds, width, height = _FRAME.unpack_from(data)
    if not math.isfinite(seconds):
        raise ConfigError(f"a frame's time must be finite, got {seconds}")
    if not 1 <= min(width, height) <= max(width, height) <= LONGEST_SIDE:
        raise ConfigError(f"a frame has sides from 1 to {LONGEST_SIDE} px, got {width} × {height}")
    if (found := jpeg_size(data[_FRAME.size :])) != (width, height):
        seen = f"a JPEG of {found[0]} × {found[1]}" if found else "no JPEG"
        raise ConfigError(f"expected a JPEG of {width} × {height} px, got {seen}")
    image = cv2.imdecode(np.frombuffer(data, np.uint8, offset=_FRAME.size), cv2.IMREAD_COLOR)
    if image is None:
        raise ConfigError(f"a JPEG of {len(data) - _FRAME.size} bytes cannot be decoded")
    return FrameMessage(sequence, seconds, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG's frame header names, or None where there is none.

    It is read before the picture is decoded, because a few bytes can claim a picture of gigabytes.
    """
    if data[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # tables, not frame headers
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + length
    return None


def write_answer(answer: Answer) -> bytes:
    """The bytes of an answer."""
    parts = [
        _ANSWER.pack(answer.sequence, answer.dropped, len(answer.faces), answer.milliseconds, answer.recorded)
    ]
    for face, (raw, stabilised) in zip(answer.faces, answer.jitter, strict=True):
        parts.append(_FACE.pack(face.face_id, is_held(face), raw, stabilised))
        parts += [
            np.asarray(values, "<f4").tobytes() for values in (face.points, face.raw_points, face.scores)
        ]
    return b"".join(parts)


def is_held(face: TrackedFace) -> bool:
    """Whether the face is not seen in this frame and only stays for a while."""
    return bool(getattr(face, "held", False))


def read_request(text: str) -> dict[str, Any]:
    """A JSON message of the page.

    Raises:
        ConfigError: too long, not JSON, or not an object.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ConfigError(f"a request has at most {_MOST_CHARACTERS} characters, got {len(text)}")
    try:
        request = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"a request must be JSON: {error}") from error
    if not isinstance(request, dict):
        raise ConfigError(f"a request must be an object, got {type(request).__name__}")
    return request


def greeting(stabilizer: str, decoder: str) -> dict[str, Any]:
    """What the page has to know before the first frame."""
    return {
        "type": "ready",
        "edges": markup.EDGES.tolist(),
        "names": list(markup.NAMES),
        "stabilizers": list(CAUSAL_STABILIZERS),
        "decoders": list(METHODS),
        "stabilizer": stabilizer,
        "decoder": decoder,
    }
