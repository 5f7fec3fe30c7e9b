"""Messages between page and server: frames and faces as bytes, everything else as JSON.

All numbers are little-endian.

frame    sequence number u32, seconds f64, width u16, height u16; a JPEG of that size
answer   sequence number u32, frames dropped so far u32, faces u32, milliseconds f32, rows recorded u32; faces
face     identity u32, held u32, jitter raw f32, jitter stabilised f32, filter delay f32, person i32;
         f32 points (68, 2), raw points (68, 2), scores (68)
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from steadyface import markup
from steadyface.arrays import Frame
from steadyface.errors import ConfigError
from steadyface.heatmap import METHODS
from steadyface.live.steadiness import Steadiness
from steadyface.stabilizer.choice import STABILIZERS, choose_stabilizer
from steadyface.tracking import TrackedFace

LONGEST_SIDE = 1920
"""Longest side of a frame, px."""

MOST_BYTES = 4 << 20
"""Size limit of a message, bytes; a JPEG of the largest frame is well below."""

CAUSAL_STABILIZERS = tuple(name for name in STABILIZERS if choose_stabilizer(name).offline is None)
"""Stabilisers that use no future frame."""

_FRAME, _ANSWER, _FACE = struct.Struct("<IdHH"), struct.Struct("<IIIfI"), struct.Struct("<IIfffi")
_LATEST = 1e9  # s; a clock that starts with the page stays far below
_DECODE = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION  # else EXIF may turn it
_MOST_SEGMENTS, _MOST_SCANS = 200, 32
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_FRAME_HEADERS = frozenset(bytes([i]) for i in range(0xC0, 0xD0)) - {b"\xc4", b"\xc8", b"\xcc"}  # but tables
_SEGMENTS = frozenset(bytes([i]) for i in (*range(0xC0, 0xD0), *range(0xDA, 0xFF))) - {b"\xc8"}
"""Second bytes of markers that begin a segment with a length."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")  # within a scan, zeros and restarts are data
_MOST_CHARACTERS = 500  # of a JSON message; the limit also keeps its nesting harmless


@dataclass(frozen=True)
class FrameMessage:
    """Frame sent by the page.

    Args:
        sequence: number of the frame, from the page.
        seconds: time at which it was taken, by the page's clock.
        image: RGB uint8.
    """

    sequence: int
    seconds: float
    image: Frame


@dataclass(frozen=True)
class Answer:
    """Faces of one frame.

    Args:
        sequence: number of the frame.
        faces: in px of the frame.
        steadiness: of each face, as `steadiness.LastSecond` computes it.
        people: names of known people, by whose places faces are named.
        dropped: number of frames of this session that were not tracked.
        milliseconds: time of decoding and tracking.
        recorded: rows of the recording so far.
    """

    sequence: int
    faces: Sequence[TrackedFace]
    steadiness: Sequence[Steadiness]
    dropped: int
    milliseconds: float
    recorded: int
    people: Sequence[str] = ()


def read_frame(data: bytes) -> FrameMessage:
    """Decode the frame in a binary message.

    Raises:
        ConfigError: it is too short, its time is out of range, or it holds no JPEG of the size it states.
    """
    if len(data) <= _FRAME.size:
        raise ConfigError(f"a frame is a header of {_FRAME.size} bytes and a JPEG, got {len(data)} bytes")
    sequence, seconds, width, height = _FRAME.unpack_from(data)
    if not 0 <= seconds <= _LATEST:
        raise ConfigError(f"a frame's time must be from 0 to {_LATEST:g} s, got {seconds}")
    if not 1 <= min(width, height) <= max(width, height) <= LONGEST_SIDE:
        raise ConfigError(f"a frame has sides from 1 to {LONGEST_SIDE} px, got {width} × {height}")
    if (found := jpeg_size(data[_FRAME.size :])) != (width, height):
        seen = f"a JPEG of {found[0]} × {found[1]}" if found else "no JPEG that is written plainly"
        raise ConfigError(f"expected a JPEG of {width} × {height} px, got {seen}")
    image = cv2.imdecode(np.frombuffer(data, np.uint8, offset=_FRAME.size), _DECODE)
    if image is None:
        raise ConfigError(f"a JPEG of {len(data) - _FRAME.size} bytes cannot be decoded")
    return FrameMessage(sequence, seconds, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Read width and height from a JPEG's frame header; None unless it is one that hides nothing.

    Checked before the picture is decoded, because a few bytes can claim a picture of gigabytes or ask for a
    thousand passes over it. A decoder skips fill bytes and stray bytes before a marker, so that what it takes
    for the frame header may not be what another parser does. Here both see the same: segments follow each
    other without a gap, there is one frame header, and only a few scans, as every encoder writes it.
    """
    if data[:2] != b"\xff\xd8":
        return None
    size, start, scans = None, 2, 0
    for _ in range(_MOST_SEGMENTS):
        marker, length = data[start : start + 2], int.from_bytes(data[start + 2 : start + 4], "big")
        if marker == _END_OF_IMAGE and scans:
            return size
        if marker[:1] != b"\xff" or marker[1:] not in _SEGMENTS or length < 2:
            return None
        if marker[1:] in _FRAME_HEADERS:
            if size is not None or start + 9 > len(data):
                return None
            height, width = struct.unpack_from(">HH", data, start + 5)
            size = width, height
        start += 2 + length
        if marker == _START_OF_SCAN:
            after = _MARKER.search(data, start)
            scans += 1
            if after is None or size is None or scans > _MOST_SCANS:
                return None
            start = after.start()
    return None


def write_answer(answer: Answer) -> bytes:
    """Encode an answer."""
    parts = [
        _ANSWER.pack(answer.sequence, answer.dropped, len(answer.faces), answer.milliseconds, answer.recorded)
    ]
    places = {name: place for place, name in enumerate(answer.people)}
    for face, (raw, stabilised, delay) in zip(answer.faces, answer.steadiness, strict=True):
        person = places.get(face.name or "", -1)
        parts.append(_FACE.pack(face.face_id, face.held, raw, stabilised, delay, person))
        parts += [
            np.asarray(values, "<f4").tobytes() for values in (face.points, face.raw_points, face.scores)
        ]
    return b"".join(parts)


def read_request(text: str) -> dict[str, Any]:
    """Parse a JSON message of the page.

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


def greeting(stabilizer: str, decoder: str, people: Sequence[str] = ()) -> dict[str, Any]:
    """First message to the page: landmarks, options to choose from, and known people."""
    return {
        "type": "ready",
        "edges": markup.EDGES.tolist(),
        "names": list(markup.LABELS),
        "people": list(people),
        "stabilizers": list(dict.fromkeys([*CAUSAL_STABILIZERS, stabilizer])),
        "decoders": list(METHODS),
        "stabilizer": stabilizer,
        "decoder": decoder,
    }
