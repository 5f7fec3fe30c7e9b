"""HEIC files of tiles, as phones write them."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import av
import numpy as np


def box(kind: bytes, *parts: bytes, version: int | None = None, flags: int = 0) -> bytes:
    """Box of ISO/IEC 14496-12; a version makes it a full box."""
    head = b"" if version is None else struct.pack(">I", version << 24 | flags)
    content = head + b"".join(parts)
    return struct.pack(">I", len(content) + 8) + kind + content


def coded(tile: np.ndarray) -> tuple[bytes, bytes]:
    """HEVC configuration box and coded picture of an RGB image."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        # With B-frames, x265 leaves the decoding time of a single picture unset: any 64 bits.
        parameters = "log-level=none:bframes=0"
        stream = out.add_stream("libx265", rate=25, options={"x265-params": parameters, "crf": "4"})
        stream.height, stream.width = tile.shape[:2]
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(tile))
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with av.open(io.BytesIO(file.getvalue())) as source:
        packet = next(source.demux(video=0))
        return box(b"hvcC", source.streams.video[0].codec_context.extradata), bytes(packet)


def grid_heic(tiles: Sequence[Sequence[np.ndarray]], quarter_turns: int = 0) -> bytes:
    """HEIC image of rows of equal tiles, turned counter-clockwise when shown."""
    rows, columns = len(tiles), len(tiles[0])
    height, width = tiles[0][0].shape[:2]
    pieces = [coded(tile) for row in tiles for tile in row]
    count = len(pieces)
    whole = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, columns * width, rows * height)
    entries = [
        box(b"infe", struct.pack(">HH", item, 0), b"hvc1\0", version=2, flags=1)
        for item in range(1, count + 1)
    ] + [box(b"infe", struct.pack(">HH", count + 1, 0), b"grid\0", version=2)]
    references = struct.pack(f">{count + 2}H", count + 1, count, *range(1, count + 1))
    properties = box(
        b"ipco",
        pieces[0][0],
        box(b"ispe", struct.pack(">II", width, height), version=0),
        box(b"ispe", struct.pack(">II", columns * width, rows * height), version=0),
        box(b"irot", bytes([quarter_turns])),
    )
    links = b"".join(struct.pack(">HBBB", item, 2, 0x81, 2) for item in range(1, count + 1))
    links += struct.pack(">HBBB", count + 1, 2, 3, 0x84)

    def meta(start: int) -> bytes:
        places = b""
        for item, (_, picture) in enumerate(pieces, 1):
            places += struct.pack(">HHHHII", item, 0, 0, 1, start, len(picture))
            start += len(picture)
        places += struct.pack(">HHHHII", count + 1, 1, 0, 1, 0, len(whole))
        return box(
            b"meta",
            box(b"hdlr", bytes(4), b"pict", bytes(13), version=0),
            box(b"pitm", struct.pack(">H", count + 1), version=0),
            box(b"iloc", struct.pack(">HH", 0x4400, count + 1), places, version=1),
            box(b"iinf", struct.pack(">H", count + 1), *entries, version=0),
            box(b"iref", box(b"dimg", references), version=0),
            box(b"iprp", properties, box(b"ipma", struct.pack(">I", count + 1), links, version=0)),
            box(b"idat", whole),
            version=0,
        )

    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *(picture for _, picture in pieces))
