"""Command that tracks many videos."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from steadyface.cli.terminal import complain, import_extra, interrupted_once, say
from steadyface.pipeline import TrackingOptions
from steadyface.progress import show_progress
from steadyface.wording import counted

_HOUR = 3600.0
_SHOWN = 10  # errors on the screen; the others are in the manifest


def corpus(
    *inputs: Annotated[str, Parameter(negative=())],
    out: Path,
    workers: int | None = None,
    address: str | None = None,
    crops: str | None = None,
    options: Annotated[TrackingOptions, Parameter(name="*", group="Tracking")] = TrackingOptions(),
    quiet: bool = False,
) -> int:
    """Track many videos in several processes, or on a Ray cluster: a Parquet file each, and a manifest.

    Writes OUT/PLACE.parquet for each video, where PLACE is its path below the folder or pattern in which it
    was found, and OUT/manifest.jsonl and OUT/manifest.parquet, which list every video with its counts or its
    error. Run the same command again to continue after a stop and to retry what failed.

    Parameters
    ----------
    inputs
        Videos, folders of videos, glob patterns, and lists (.txt, a path or URL a line); also URLs that
        fsspec opens (s3://, https://, ...), where a folder ends in / and a pattern holds a *.
    out
        Folder for the results; on a cluster, one that all machines share.
    workers
        Number of processes. Left out: one per core.
    address
        Address of a Ray cluster (HOST:PORT, or auto). Left out: this machine alone.
    crops
        face (256 x 256 px) or mouth (96 x 96): also write OUT/PLACE.face-crops/face0.mp4 and so on, upright
        and steady, with the sound, and face0.npz with the map of each frame.
    quiet
        Print no progress and no summary.
    """
    module = import_extra("steadyface.corpus", "corpus")
    bar = show_progress("videos", quiet, memory=_HOUR)
    with interrupted_once(), bar as progress, redirect_stdout(sys.stderr):  # Ray reports dead workers there
        summary = module.track_corpus(
            inputs, out, options, workers=workers, address=address, crops=crops, progress=progress
        )
    if not quiet:
        say(summary, f"  {out / module.JOURNAL}")
    if summary.interrupted:
        left = summary.videos - summary.done - len(summary.failed)
        complain(f"interrupted: {left} of {counted(summary.videos, 'video')} left; the same command goes on")
    elif summary.failed:
        for entry in summary.failed[:_SHOWN]:
            complain(entry.error)
        rest = f": all errors are in {out / module.JOURNAL}" if len(summary.failed) > _SHOWN else ""
        complain(f"{len(summary.failed)} of {counted(summary.videos, 'video')} failed{rest}")
    return 1 if summary.interrupted or summary.failed else 0
