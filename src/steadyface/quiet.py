"""Keep OpenCV and libjpeg from printing to the error stream."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import cv2

_LIBJPEG = re.compile(
    rb"(Corrupt JPEG data|Premature end of JPEG|Invalid SOS|Inconsistent progression|Unknown Adobe"
    rb"|Warning: unknown JFIF)[^\n]*\n"
)
_STDERR = 2
_lock = Lock()


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from printing about broken images, which its errors report anyway."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


@contextmanager
def quiet_libjpeg() -> Iterator[list[str]]:
    """Catch the warnings of libjpeg, which it only prints; the yielded list holds them after the block.

    During the block the process's error stream goes to a file. Other output to it, as from other threads, is
    passed on afterwards.
    """
    lines: list[str] = []
    with _lock, tempfile.TemporaryFile() as file:
        try:
            real = os.dup(_STDERR)
        except OSError:  # a process without an error stream
            yield lines
            return
        os.dup2(file.fileno(), _STDERR)
        try:
            yield lines
        finally:
            os.dup2(real, _STDERR)
            os.close(real)
            file.seek(0)
            said = file.read()
            lines += [line[0].decode(errors="replace").strip() for line in _LIBJPEG.finditer(said)]
            with suppress(OSError):
                os.write(_STDERR, _LIBJPEG.sub(b"", said))
