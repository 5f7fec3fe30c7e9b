"""One tab of the live page: tracker, options and recording."""

from __future__ import annotations

import math
import os
import secrets
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from steadyface.detector import choose_detector
from steadyface.errors import ConfigError, DataError
from steadyface.files import writing
from steadyface.landmarker import Landmarker
from steadyface.live.messages import CAUSAL_STABILIZERS, Answer, read_frame, write_answer
from steadyface.live.recording import Recording
from steadyface.live.steadiness import LastSecond
from steadyface.pipeline import Pipeline, TrackingOptions, build

_LONGEST_NAME = 100
_SHORTEST_STEP = 1e-6  # s between two frames


class Networks:
    """Networks that all sessions share, each opened once.

    Args:
        options: of tracking; a session chooses another stabiliser or decoder. `threads` None takes half of
            the cores: the browser needs the others for the camera, the JPEGs and the picture.

    Raises:
        WeightsError: no such model.
        ConfigError: a device that is not available, or a number out of range.
    """

    def __init__(self, options: TrackingOptions = TrackingOptions()) -> None:
        threads = options.threads or max(1, (os.cpu_count() or 1) // 2)
        self.options = options = replace(options, threads=threads)
        self._finder = choose_detector(
            options.detector, min_face=options.min_face, device=options.device, threads=threads
        )
        first = Landmarker(options.weights, options.decoder, options.device, threads)
        self.decoder = first.decoder
        self._landmarkers = {first.decoder: first}

    def pipeline(self, stabilizer: str, decoder: str) -> Pipeline:
        """Build a pipeline with a tracker of its own.

        Raises:
            ConfigError: no such stabiliser or decoder.
        """
        if stabilizer not in CAUSAL_STABILIZERS:
            raise ConfigError.choice("stabilizer", stabilizer, CAUSAL_STABILIZERS)
        options = replace(self.options, stabilizer=stabilizer, decoder=decoder)
        if decoder not in self._landmarkers:
            self._landmarkers[decoder] = Landmarker(options.weights, decoder, options.device, options.threads)
        return build(options, landmarker=self._landmarkers[decoder], detector=self._finder)


@dataclass(frozen=True)
class Saved:
    """Result of a recording.

    Args:
        name: key of its file in `Session.recorded`.
        rows: number of rows in the file.
        problem: the reason if rows are missing; else None.
    """

    name: str
    rows: int
    problem: str | None


class Session:
    """Tracker and recording of one tab. Call its methods one at a time, from any thread.

    Args:
        networks: shared by all tabs.
        place: folder that the recordings lie below; None means the system's temporary folder.
    """

    def __init__(self, networks: Networks, place: Path | None = None) -> None:
        self._networks, self._place = networks, place
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._recording: Recording | None = None
        self.recorded: dict[str, Path] = {}
        self.configure(networks.options.stabilizer, networks.decoder)

    def configure(self, stabilizer: str, decoder: str) -> None:
        """Start again with another stabiliser or decoder.

        Raises:
            ConfigError: no such stabiliser or decoder, or a recording is running.
        """
        if self._recording is not None:
            raise ConfigError("stop the recording first: its rows are of one stabiliser and decoder")
        self._pipeline = self._networks.pipeline(stabilizer, decoder)
        self.stabilizer, self.decoder = stabilizer, decoder
        self.restart()

    def restart(self) -> None:
        """Forget all faces and the time before another source begins."""
        self._pipeline.tracker.reset()
        self._steadiness = LastSecond()
        self._seconds = -math.inf

    def answer(self, data: bytes, dropped: int = 0) -> bytes:
        """Track the faces of a frame.

        Args:
            data: frame, encoded as `messages` says.
            dropped: number of frames of this session that were not tracked, for the answer.

        Returns:
            Answer, encoded as `messages` says.

        Raises:
            ConfigError: not a frame, or its time is not after that of the last one.
            DataError: the recording cannot be written; the rows before are kept.
        """
        began = time.perf_counter()
        frame = read_frame(data)
        if frame.seconds - self._seconds < _SHORTEST_STEP:
            raise ConfigError(f"time runs backwards or stands: {frame.seconds} s after {self._seconds} s")
        self._seconds = frame.seconds
        faces = self._pipeline.tracker.step(frame.image, frame.seconds)
        jitter = self._steadiness.add(faces, frame.seconds)
        if self._recording is not None:
            self._recording.add(frame.image, frame.seconds, faces)
        rows = self._recording.rows if self._recording is not None else 0
        milliseconds = 1000 * (time.perf_counter() - began)
        return write_answer(Answer(frame.sequence, faces, jitter, dropped, milliseconds, rows))

    def start_recording(self, source: str) -> None:
        """Record the faces of all later frames in a file.

        Args:
            source: name of the camera or file, for the table's `meta`.

        Raises:
            ConfigError: a recording is running.
            DataError: the file cannot be written.
        """
        if self._recording is not None:
            raise ConfigError("a recording is running already")
        self._delete_recordings()
        with writing(self._place or "temporary folder"):
            self._folder = tempfile.TemporaryDirectory(prefix="steadyface-live-", dir=self._place)
        meta = self._pipeline.meta(Path(source[:_LONGEST_NAME]).name, 0)
        self._recording = Recording(Path(self._folder.name) / f"{secrets.token_urlsafe(16)}.csv", meta)

    def stop_recording(self) -> Saved:
        """End the recording; its file is in `recorded` until the next one starts.

        Raises:
            ConfigError: no recording is running.
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
        """Delete the recordings."""
        self._recording = None
        self._delete_recordings()

    def _delete_recordings(self) -> None:
        self.recorded.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
