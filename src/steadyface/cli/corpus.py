"""The command that tracks many videos."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from steadyface.cli.terminal import complain, import_extra, interrupted_once, show_progress
from steadyface.errors import ConfigError

_HOUR = 3600.0


def corpus(
    *inputs: Annotated[str, Parameter(negative=())],
    out: Path,
    workers: int | None = None,
    threads: int | None = None,
    address: str | None = None,
    stabilizer: str = "sta",
    lag: int | None = None,
    decoder: str | None = None,
    max_faces: int = 4,
    device: str = "auto",
    weights: str = "compact",
    min_face: float | None = None,
    detector: Path | None = None,
    start: float = 0.0,
    end: float | None = None,
    quiet: bool = False,
) -> int:
    """Track many videos in several processes, or on a Ray cluster: a Parquet file each, and a manifest.

    Writes OUT/PLACE.parquet for each video, where PLACE is its path below the folder or pattern that it was
    found by, and OUT/manifest.jsonl and OUT/manifest.parquet, which tell what came of each. The same command
    again goes on where it was stopped, and tries again what failed.

    Parameters
    ----------
    inputs
        Videos, folders of videos, glob patterns, and lists (.txt, a path or URL a line); also URLs that
        fsspec opens (s3://, https://, ...), where a folder ends in / and a pattern holds a *.
    out
        Folder for the results; on a cluster, one that all machines share.
    workers
        Processes. Left out: one per core.
    threads
        Of each process. Left out: the cores, divided by the workers.
    address
        Of a Ray cluster (HOST:PORT, or auto). Left out: this machine alone.
    stabilizer
        As of `steadyface track`, like all that follow.
    lag
        Later frames that each point may depend on.
    decoder
        How points are read from heatmaps. Left out: the one built into the network.
    max_faces
        Most faces at a time, largest first.
    device
        auto, cpu or cuda.
    weights
        A bundled model's name, or an exported .onnx file.
    min_face
        Larger side of the smallest face to be found, px of the frame.
    detector
        A YuNet or finder .onnx file.
    start
        Seconds of each video at which to begin.
    end
        Seconds of each video at which to stop. Left out: its end.
    quiet
        No progress and no summary.
    """
    if not inputs:
        raise ConfigError("nothing to track: name at least one video, folder, pattern or list")
    module = import_extra("steadyface.corpus", "corpus")
    options = module.CorpusOptions(
        stabilizer=stabilizer,
        lag=lag,
        decoder=decoder,
        max_faces=max_faces,
        device=device,
        weights=weights,
        min_face=min_face,
        detector=None if detector is None else str(detector),
        start=start,
        end=end,
    )
    bar = show_progress("videos", quiet, memory=_HOUR)
    with interrupted_once(), bar as progress, redirect_stdout(sys.stderr):  # Ray tells there of dead workers
        summary = module.track_corpus(
            inputs,
            out,
            options,
            workers=workers,
            threads=threads,
            address=address,
            progress=progress,
        )
    if not quiet:
        print(summary, f"  {out / module.JOURNAL}", sep="\n")
    if summary.interrupted:
        left = summary.videos - summary.done - len(summary.failed)
        complain(f"interrupted: {left} of {summary.videos} videos are left; the same command goes on")
    elif summary.failed:
        count = f"{len(summary.failed)} of {summary.videos} videos failed"
        complain(f"{count}: see the errors in {out / module.JOURNAL}")
    return 1 if summary.interrupted or summary.failed else 0
