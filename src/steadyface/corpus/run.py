"""Track many videos on Ray: finished ones are kept, and a crash or a bad video fails alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steadyface.clips import check_crops
from steadyface.corpus.cluster import SCRATCH, connect, share_out, track_all
from steadyface.corpus.inputs import choose_outputs, find_videos
from steadyface.corpus.manifest import DONE, ERROR, Entry, Manifest
from steadyface.corpus.work import options_key, recorded
from steadyface.errors import ConfigError, SteadyfaceError
from steadyface.files import make_folder
from steadyface.pipeline import TrackingOptions, build
from steadyface.scratch import locked, scratch_folder
from steadyface.wording import counted

Progress = Callable[[int, int, float], object]
"""Called with the number of videos done and of all to do, and the frames tracked per second of wall time."""


@dataclass(frozen=True)
class CorpusSummary:
    """Result of tracking a corpus.

    Args:
        videos: number of inputs.
        done: videos with results and no error.
        kept: videos that an earlier run had finished.
        failed: entries of the videos with an error.
        frames: number tracked in this run.
        seconds: wall time of this run, after the check for finished videos.
        interrupted: by Ctrl-C.
    """

    videos: int
    done: int
    kept: int
    failed: tuple[Entry, ...]
    frames: int
    seconds: float
    interrupted: bool

    def __str__(self) -> str:
        parts = [f"{self.done} of {counted(self.videos, 'video')} done"]
        if self.kept:
            parts.append(f"{self.kept} left as they were")
        if self.frames:
            speed = self.frames / max(self.seconds, 1e-9)
            parts.append(f"{counted(self.frames, 'frame')} in {self.seconds:.1f} s, {speed:.1f} frames/s")
        return ", ".join(parts)


def track_corpus(
    inputs: str | Path | Iterable[str | Path],
    out: str | Path,
    options: TrackingOptions = TrackingOptions(),
    *,
    workers: int | None = None,
    address: str | None = None,
    crops: str | None = None,
    progress: Progress | None = None,
) -> CorpusSummary:
    """Track videos in several processes, or on a cluster, and write one Parquet file of each.

    A table that an earlier run finished with the same options from the same file is kept. A video that cannot
    be tracked is noted in the manifest, and the others go on; one whose worker dies is started again. Ctrl-C
    ends the run and keeps the finished tables.

    Args:
        inputs: as for `find_videos`.
        out: folder of the tables and of `Manifest`; on a cluster, one that all machines share.
        options: of tracking; `threads` None shares the cores among the workers.
        workers: number of processes; None takes one per core.
        address: of a Ray cluster; None means this machine, or the cluster to which the process is connected.
        crops: one of `clips.CROPS`: also cut the faces of each video out; None cuts nothing.
        progress: called after every video.

    Raises:
        ConfigError, WeightsError, DataError: inputs, options or folder cannot be used; nothing is tracked.
        SteadyfaceError: another run is at work in `out`; Ray does not start, or fails: the finished tables
            are kept.
    """
    out = Path(out).absolute()
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be at least 1, got {workers}")
    found = find_videos(inputs)
    check_crops(crops)
    build(replace(options, threads=1))  # bad options are refused here, before any worker starts
    with _alone(out), closing(Manifest(out)) as manifest:
        outputs = choose_outputs(found, {entry.input: entry.output for entry in manifest.entries.values()})
        todo = _leave_finished(manifest, outputs, out, options_key(options, crops))
        frames, interrupted, began = 0, False, time.monotonic()
        try:
            if todo:
                workers = workers and min(workers, len(todo))  # Ray starts a process for each
                with connect(address, workers), scratch_folder(SCRATCH) as scratch:
                    share = share_out(len(todo), workers, options.threads, options.device)
                    entries = track_all(todo, share, options, out, scratch, crops)
                    for count, entry in enumerate(entries, 1):
                        manifest.add(entry)
                        frames += entry.frames
                        if progress is not None:
                            progress(count, len(todo), frames / (time.monotonic() - began))
        except KeyboardInterrupt:
            interrupted = True
        seconds, known = time.monotonic() - began, manifest.of(outputs)
    return CorpusSummary(
        videos=len(outputs),
        done=sum(entry.status == DONE for entry in known),
        kept=len(outputs) - len(todo),
        failed=tuple(entry for entry in known if entry.status == ERROR),
        frames=frames,
        seconds=seconds,
        interrupted=interrupted,
    )


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other runs away from a folder of results.

    Raises:
        SteadyfaceError: one is at work there.
        DataError: the folder cannot be made or written.
    """
    make_folder(out)
    with locked(out / "manifest.lock") as mine:
        if not mine:
            raise SteadyfaceError(f"{out}: another run is at work there; wait, or choose another --out")
        yield


def _leave_finished(
    manifest: Manifest, outputs: Mapping[str, str], out: Path, asked: dict[str, Any]
) -> dict[str, str]:
    """Select the videos to track; the manifest then has the entries of the others."""
    with ThreadPoolExecutor() as pool:  # the state of a URL takes a while
        kept = pool.map(lambda source: recorded(source, outputs[source], out, asked), outputs)
        entries = dict(zip(outputs, kept, strict=True))
    for source, entry in entries.items():
        before = manifest.entries.get(source)
        if entry is not None and (before is None or replace(before, seconds=None) != entry):
            manifest.add(entry)
    return {source: output for source, output in outputs.items() if entries[source] is None}
