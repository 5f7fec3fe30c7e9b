"""Messages between page and server, checked against a second description of the format."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
import scenes
from live_frames import decoded, jpeg, message, read_answer

from steadyface.errors import ConfigError
from steadyface.heatmap import METHODS
from steadyface.live.messages import (
    Answer,
    greeting,
    jpeg_size,
    read_frame,
    read_request,
    write_answer,
)
from steadyface.live.steadiness import Steadiness
from steadyface.stabilizer import KINDS
from steadyface.tracking import TrackedFace, Tracker


def face(number: int, seed: int) -> TrackedFace:
    rng = np.random.default_rng(seed)
    return TrackedFace(number, rng.random((68, 2)), rng.random((68, 2)), rng.random(68), rng.random(4))


def test_a_frame_arrives_as_it_was_sent() -> None:
    frame = read_frame(message(3, seconds=1.25))
    assert (frame.sequence, frame.seconds) == (3, 1.25)
    assert np.array_equal(frame.image, decoded(3))


STEADINESS = [Steadiness(0.5, 0.25, 0.125), Steadiness(1.0, float("nan"), float("nan"))]


def test_an_answer_arrives_as_it_was_sent() -> None:
    faces = [replace(face(0, 1), name="boris"), replace(face(5, 2), name="unknown")]
    header, read = read_answer(write_answer(Answer(7, faces, STEADINESS, 3, 12.5, 40, ["anna", "boris"])))
    assert header == {"sequence": 7, "dropped": 3, "faces": 2, "milliseconds": 12.5, "recorded": 40}
    assert read["face"].tolist() == [0, 5]
    assert read["held"].tolist() == [0, 0]
    assert read["person"].tolist() == [1, -1]
    assert np.array_equal(read["delay"], np.array([0.125, np.nan], np.float32), equal_nan=True)
    assert np.array_equal(read["jitter"], np.array([0.25, np.nan], np.float32), equal_nan=True)
    for sent, got in zip(faces, read, strict=True):
        for name in ("points", "raw_points", "scores"):
            assert np.array_equal(got[name], getattr(sent, name).astype(np.float32))


def segment(marker: int, content: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(content)) + content


def progressive(scans: int) -> bytes:
    """The portrait as a progressive JPEG whose last scan is sent again and again."""
    image = scenes.frames(1)[0]
    coded, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert coded
    plain = data.tobytes()
    last = plain.rindex(b"\xff\xda")
    return plain[:last] + plain[last:-2] * (scans - plain.count(b"\xff\xda") + 1) + plain[-2:]


HIDDEN = b"\xff\xd8\xff" + segment(0xC0, b"\x08" + struct.pack(">HH", 10_000, 10_000))
"""A frame header behind a fill byte, which a decoder skips."""


def header(width: int = scenes.WIDTH, height: int = scenes.HEIGHT, seconds: float = 0.0) -> bytes:
    return struct.pack("<IdHH", 0, seconds, width, height)


def claiming(width: int, height: int) -> bytes:
    """A JPEG whose frame header claims another size than its picture has."""
    data = bytearray(jpeg(0))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "got 0 bytes"),
        (b"garbage", "got 7 bytes"),
        (header(), "got 16 bytes"),
        *((header(seconds=time) + jpeg(0), "from 0 to 1e") for time in (math.nan, math.inf, 1e300, -1e-9)),
        (header(width=0) + jpeg(0), "got 0 × 270"),
        (header(width=1921) + jpeg(0), "got 1921 × 270"),
        (header(width=481) + jpeg(0), "expected a JPEG of 481 × 270 px, got a JPEG of 480 × 270"),
        (header() + bytes(5000), "got no JPEG"),
        (header() + b"\xff\xd8" + b"\xff\xe0\x00\x00" * 1000, "got no JPEG"),
        (header() + b"\xff\xd8\xff\xc0\x00\x0b\x08", "got no JPEG"),
        (header() + claiming(65_000, 65_000), "got a JPEG of 65000 × 65000"),
        (header() + jpeg(0)[:200] + bytes(3), "JPEG"),
        (header() + HIDDEN + jpeg(0)[2:], "got no JPEG"),
        (header() + b"\xff\xd8" + segment(0xE0, bytes(6)) + b"\0" + jpeg(0)[2:], "got no JPEG"),
        (header() + jpeg(0)[:-2] + HIDDEN[3:] + b"\xff\xd9", "got no JPEG"),
        (header() + b"\xff\xd8" + segment(0xFE) * 1000 + jpeg(0)[2:], "got no JPEG"),
        (header() + jpeg(0)[:-2], "got no JPEG"),
        (header() + progressive(1000), "got no JPEG"),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read_frame(data)


def test_a_progressive_jpeg_and_one_that_exif_turns_are_read_as_they_are() -> None:
    assert read_frame(header() + progressive(12)).image.shape == (scenes.HEIGHT, scenes.WIDTH, 3)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = b"\xff\xd8" + segment(0xE1, exif) + jpeg(0)[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), 1).shape[:2] == (scenes.WIDTH, scenes.HEIGHT)
    assert np.array_equal(read_frame(header() + turned).image, decoded(0))


def test_the_size_of_a_jpeg_is_read_without_decoding() -> None:
    assert jpeg_size(jpeg(0)) == (scenes.WIDTH, scenes.HEIGHT)
    assert jpeg_size(claiming(60_000, 50_000)) == (60_000, 50_000)
    assert jpeg_size(jpeg(0)[:30]) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be JSON"),
        ("{", "must be JSON"),
        ("[1]", "must be an object, got list"),
        ("[" * 400, "must be JSON"),
        ('{"type": "' + "x" * 500 + '"}', "at most 500 characters, got 512"),
    ],
)
def test_what_is_no_request_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        read_request(text)


def test_the_greeting_offers_all_that_a_live_picture_can_use() -> None:
    hello = json.loads(json.dumps(greeting("sta", "dark")))
    assert hello["decoders"] == list(METHODS)
    for name in (*KINDS, "none", "sta-offline"):
        if name in hello["stabilizers"]:
            assert Tracker(stabilizer=name).stabilizer_name == name
        else:
            with pytest.raises(ConfigError, match="needs the future"):
                Tracker(stabilizer=name)
    assert max(max(edge) for edge in hello["edges"]) == len(hello["names"]) - 1 == 67
