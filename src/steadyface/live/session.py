"""One tab of the live page: tracker, options and recording."""

from __future__ import annotations

import math
import os
import re
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from steadyface.detector import choose_detector
from steadyface.errors import ConfigError, DataError
from steadyface.files import atomic_write, make_folder, writing
from steadyface.landmarker import Landmarker
from steadyface.live.messages import CAUSAL_STABILIZERS, Answer, read_frame, write_answer
from steadyface.live.recording import Recording
from steadyface.live.steadiness import LastSecond
from steadyface.pipeline import Pipeline, TrackingOptions, build
from steadyface.report import report_tracks
from steadyface.stabilizer.choice import choose_stabilizer
from steadyface.tracks import Tracks
from steadyface.tracks.formats.tabular import meta_path

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
        own = stabilizer == self.options.stabilizer and choose_stabilizer(stabilizer).offline is None
        if not own and stabilizer not in CAUSAL_STABILIZERS:
            raise ConfigError.choice("stabilizer", stabilizer, CAUSAL_STABILIZERS)
        options = replace(self.options, stabilizer=stabilizer, decoder=decoder)
        if not getattr(choose_stabilizer(stabilizer).causal, "uses_motion", False):
            options = replace(options, network_every=1)
        if decoder not in self._landmarkers:
            self._landmarkers[decoder] = Landmarker(options.weights, decoder, options.device, options.threads)
        return build(options, landmarker=self._landmarkers[decoder], detector=self._finder)


@dataclass(frozen=True)
class Saved:
    """Result of a recording.

    Args:
        name: key of its file in `Session.recorded`.
        label: name for people, such as steadyface-webcam-2026-05-04-131502.
        rows: number of rows in the file.
        problem: the reason if rows are missing; else None.
    """

    name: str
    label: str
    rows: int
    problem: str | None


class Session:
    """Tracker and recording of one tab. Call its methods one at a time, from any thread.

    Args:
        networks: shared by all tabs.
        place: folder that the recordings lie below; None means the system's temporary folder.
        out: folder for a recording that runs when the tab closes; None drops it.
    """

    def __init__(self, networks: Networks, place: Path | None = None, out: Path | None = None) -> None:
        self._networks, self._place, self._out = networks, place, out
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._recording: Recording | None = None
        self.recorded: dict[str, Path] = {}
        self.labels: dict[str, str] = {}
        self.configure(networks.options.stabilizer, networks.decoder)

    def configure(self, stabilizer: str, decoder: str) -> None:
        """Start again with another stabiliser or decoder.

        Raises:
            ConfigError: no such stabiliser or decoder, or a recording is running.
        """
        if self._recording is not None:
            raise ConfigError("stop the recording first: its rows are of one stabiliser and decoder")
        self._pipeline = self._networks.pipeline(stabilizer, decoder)
        namer = self._pipeline.tracker.namer
        self.people = namer.people.persons if namer else []
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
        steadiness = self._steadiness.add(faces, frame.seconds)
        if self._recording is not None:
            self._recording.add(frame.image, frame.seconds, faces)
        rows = self._recording.rows if self._recording is not None else 0
        milliseconds = 1000 * (time.perf_counter() - began)
        answer = Answer(frame.sequence, faces, steadiness, dropped, milliseconds, rows, self.people)
        return write_answer(answer)

    def start_recording(self, source: str) -> Path | None:
        """Record the faces of all later frames in a file.

        Args:
            source: name of the camera or file, for the table's `meta`.

        Returns:
            The file that it becomes if the tab closes while it runs.

        Raises:
            ConfigError: a recording is running.
            DataError: the file cannot be written.
        """
        if self._recording is not None:
            raise ConfigError("a recording is running already")
        self._delete_recordings()
        with writing(self._place or "temporary folder"):
            self._folder = tempfile.TemporaryDirectory(prefix="steadyface-live-", dir=self._place)
        source = Path(source[:_LONGEST_NAME]).name
        path = Path(self._folder.name) / f"{secrets.token_urlsafe(16)}.csv"
        self._recording = Recording(path, self._pipeline.meta(source, 0), self._pipeline.tracker.namer)
        plain = re.sub(r"[^\w-]+", "-", Path(source).stem).strip("-") or "video"
        self.labels[path.stem] = f"steadyface-{plain}-{time.strftime('%Y-%m-%d-%H%M%S')}"
        return self._kept(path.stem)

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
        name = recording.path.stem
        return Saved(name, self.labels[name], recording.rows, problem)

    def converted(self, name: str, ending: str) -> Path:
        """Write a recording as another file beside it: `.json`, or `.report.html`, its report.

        Raises:
            DataError: it cannot be written.
        """
        path = self.recorded[name].with_suffix(ending)
        tracks = Tracks.load(self.recorded[name])
        if ending == ".json":
            return tracks.save(path)
        return report_tracks(tracks, path, name=self.labels[name])

    def close(self) -> Path | None:
        """Delete the recordings; one that is running, and holds a row, is kept first.

        Returns:
            The file that was kept.

        Raises:
            DataError: it cannot be kept.
        """
        try:
            return self._keep() if self._recording is not None else None
        finally:
            self._recording = None
            self._delete_recordings()

    def _keep(self) -> Path | None:
        saved = self.stop_recording()
        path, kept = self.recorded[saved.name], self._kept(saved.name)
        if kept is None or not saved.rows:
            return None
        make_folder(kept.parent)
        for source, target in ((path, kept), (meta_path(path), meta_path(kept))):
            with atomic_write(target) as part:
                shutil.copyfile(source, part)
        return kept

    def _kept(self, name: str) -> Path | None:
        return None if self._out is None else self._out / f"{self.labels[name]}.csv"

    def _delete_recordings(self) -> None:
        self.recorded.clear()
        self.labels.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
