"""One tab of the live page: its tracker, its options, its recording."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from steadyface.detector import FaceFinder
from steadyface.errors import ConfigError, DataError
from steadyface.landmarker import Landmarker
from steadyface.live.messages import CAUSAL_STABILIZERS, Answer, read_frame, write_answer
from steadyface.live.recording import Recording
from steadyface.live.steadiness import LastSecond
from steadyface.models import DEFAULT_MODEL
from steadyface.pipeline import describe
from steadyface.stabilizer import DEFAULT_STABILIZER
from steadyface.tracking import Tracker, TrackerConfig

_LONGEST_NAME = 100


class Networks:
    """The networks that all sessions share, each opened once.

    Half of the cores are left to the browser, which needs them for the camera, the JPEGs and the picture.

    Args:
        weights: a bundled model's name or an exported `.onnx` file.
        device: `auto`, `cpu` or `cuda`.
        max_faces: most faces at a time.

    Raises:
        WeightsError: no such model.
        ConfigError: a device that is not there, or a number out of range.
    """

    def __init__(self, weights: str | Path = DEFAULT_MODEL, device: str = "auto", max_faces: int = 4) -> None:
        self._weights, self._device = weights, device
        self._threads = max(1, (os.cpu_count() or 1) // 2)
        self._config = TrackerConfig(max_faces=max_faces)
        self._finder = FaceFinder(device=device, threads=self._threads)
        first = Landmarker(weights, device=device, threads=self._threads)
        self.decoder = first.decoder
        self._landmarkers = {first.decoder: first}

    def tracker(self, stabilizer: str, decoder: str) -> Tracker:
        """A fresh tracker.

        Raises:
            ConfigError: no such stabiliser or decoder.
        """
        if stabilizer not in CAUSAL_STABILIZERS:
            raise ConfigError.choice("stabilizer", stabilizer, CAUSAL_STABILIZERS)
        if decoder not in self._landmarkers:
            self._landmarkers[decoder] = Landmarker(self._weights, decoder, self._device, self._threads)
        return Tracker(self._landmarkers[decoder], self._finder, stabilizer, self._config)


@dataclass(frozen=True)
class Saved:
    """A recording that has ended.

    Args:
        name: under which `Session.recorded` has its file.
        rows: in the file.
        problem: why some are missing.
    """

    name: str
    rows: int
    problem: str | None


class Session:
    """Tracks what one tab sends. Its methods are to be called one at a time, from any thread."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._folder = tempfile.TemporaryDirectory(prefix="steadyface-live-")
        self._recording: Recording | None = None
        self.recorded: dict[str, Path] = {}
        self.configure(DEFAULT_STABILIZER, networks.decoder)

    def configure(self, stabilizer: str, decoder: str) -> None:
        """Begin anew with another stabiliser or decoder.

        Raises:
            ConfigError: no such stabiliser or decoder, or a recording is running.
        """
        if self._recording is not None:
            raise ConfigError("stop the recording first: its rows are of one stabiliser and decoder")
        self._tracker = self._networks.tracker(stabilizer, decoder)
        self.stabilizer, self.decoder = stabilizer, decoder
        self._steadiness = LastSecond()

    def restart(self) -> None:
        """Forget all faces and the time: another source begins."""
        self._tracker.reset()
        self._steadiness = LastSecond()

    def answer(self, data: bytes, dropped: int = 0) -> bytes:
        """Find the faces of a frame.

        Args:
            data: a frame as `messages` defines it.
            dropped: passed on.

        Returns:
            The answer, as `messages` defines it.

        Raises:
            ConfigError: not a frame, or its time is not after the last one's.
            DataError: the recording cannot be written; the rows before are kept.
        """
        began = time.perf_counter()
        frame = read_frame(data)
        faces = self._tracker.step(frame.image, frame.seconds)
        jitter = self._steadiness.add(faces, frame.seconds)
        if self._recording is not None:
            self._recording.add(frame.image, frame.seconds, faces)
        rows = self._recording.rows if self._recording is not None else 0
        milliseconds = 1000 * (time.perf_counter() - began)
        return write_answer(Answer(frame.sequence, faces, jitter, dropped, milliseconds, rows))

    def start_recording(self, source: str) -> None:
        """Write all that is found from now on to a file.

        Args:
            source: what is filmed, for the table's `meta`.

        Raises:
            ConfigError: one is running.
            DataError: the file cannot be written.
        """
        if self._recording is not None:
            raise ConfigError("a recording is running already")
        for path in self.recorded.values():
            path.unlink(missing_ok=True)
        self.recorded.clear()
        meta = describe(source[:_LONGEST_NAME], (), self._tracker, 0)
        self._recording = Recording(Path(self._folder.name) / f"{secrets.token_urlsafe(16)}.csv", meta)

    def stop_recording(self) -> Saved:
        """End the recording; `recorded` has its file until the next one begins.

        Raises:
            ConfigError: none is running.
        """
        if self._recording is None:
            raise ConfigError("no recording is running")
        recording, self._recording = self._recording, None
        problem = None
        try:
            recording.finish()
        except DataError as error:
            problem = f"{error}; the rows before are kept"
        self.recorded[recording.path.stem] = recording.path
        return Saved(recording.path.stem, recording.rows, problem)

    def close(self) -> None:
        """Free everything, recordings too."""
        self._recording = None
        self.recorded.clear()
        self._folder.cleanup()
