"""Track many videos on Ray: what is there already is left, a crash or a bad video costs itself alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from steadyface.corpus.cluster import connect, share_out, track_all
from steadyface.corpus.inputs import choose_outputs, find_videos
from steadyface.corpus.manifest import DONE, ERROR, Entry, Manifest
from steadyface.corpus.options import CorpusOptions
from steadyface.corpus.work import recorded
from steadyface.errors import ConfigError

Progress = Callable[[int, int, float], object]
"""Is given the videos done, those to do in all, and frames per second of wall time."""


@dataclass(frozen=True)
class CorpusSummary:
    """What came of a corpus.

    Args:
        videos: number of inputs.
        done: with results and nothing wrong.
        kept: those that were left as they were.
        failed: the entries of those with an error.
        frames: tracked in this run.
        seconds: wall time of it, once what is there was known.
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
        parts = [f"{self.done} of {self.videos} videos done"]
        if self.kept:
            parts.append(f"{self.kept} left as they were")
        if self.frames:
            speed = self.frames / max(self.seconds, 1e-9)
            parts.append(f"{self.frames} frames in {self.seconds:.1f} s, {speed:.1f} frames/s")
        return ", ".join(parts)


def track_corpus(
    inputs: Iterable[str],
    out: str | Path,
    options: CorpusOptions | None = None,
    *,
    workers: int | None = None,
    threads: int | None = None,
    address: str | None = None,
    progress: Progress | None = None,
) -> CorpusSummary:
    """Track videos in several processes, or on a cluster, and write one Parquet file of each.

    What an earlier run has finished with the same options from the same files is left as it is. A video that
    cannot be tracked is noted in the manifest and the others go on; one whose worker dies is begun again.
    Ctrl-C ends the run; what is finished is kept.

    Args:
        inputs: as for `find_videos`.
        out: folder of the tables and of `Manifest`; on a cluster, one that all machines share.
        options: how the videos are tracked.
        workers: processes; None takes one per core.
        threads: of each; None shares the cores among the workers.
        address: of a Ray cluster; None means this machine, or what the process is connected to already.
        progress: called after every video.

    Raises:
        ConfigError, WeightsError, DataError: of inputs, options or folder; nothing is tracked then.
        SteadyfaceError: Ray does not start, or fails; what is finished is kept.
    """
    options, out = options or CorpusOptions(), Path(out).absolute()
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    found = find_videos(inputs)
    options.build(1)
    with closing(Manifest(out)) as manifest:
        outputs = choose_outputs(found, {entry.input: entry.output for entry in manifest.entries.values()})
        todo = _leave_finished(manifest, outputs, out, options)
        frames, interrupted, began = 0, False, time.monotonic()
        try:
            if todo:
                with connect(address, workers), TemporaryDirectory(prefix="steadyface-") as scratch:
                    share = share_out(len(todo), workers, threads, options.device)
                    entries = track_all(todo, share, options, out, Path(scratch))
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


def _leave_finished(
    manifest: Manifest, outputs: Mapping[str, str], out: Path, options: CorpusOptions
) -> dict[str, str]:
    """The videos that are to be tracked; the manifest then tells of the others."""
    asked = options.as_dict()
    with ThreadPoolExecutor() as pool:  # asking after a URL takes its time
        kept = pool.map(lambda source: recorded(source, outputs[source], out, asked), outputs)
        entries = dict(zip(outputs, kept, strict=True))
    for source, entry in entries.items():
        before = manifest.entries.get(source)
        if entry is not None and (before is None or replace(before, seconds=None) != entry):
            manifest.add(entry)
    return {source: output for source, output in outputs.items() if entries[source] is None}
