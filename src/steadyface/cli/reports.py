"""The command that makes pages to look at: of a clip, of its tracks, or of measured figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from steadyface.cli.terminal import complain, import_extra, show_progress
from steadyface.errors import ConfigError, SteadyfaceError
from steadyface.pipeline import TrackingOptions

_TRACKS = (".npz", ".csv", ".parquet", ".json")


def report(
    *inputs: Annotated[Path, Parameter(negative=())],
    out: Path = Path("steadyface-out"),
    clip: Path | None = None,
    options: Annotated[TrackingOptions, Parameter(name="*", group="Tracking")] = TrackingOptions(),
    quiet: bool = False,
) -> int:
    """Make an HTML page to look at: of tracked clips, or of a benchmark's results.

    A clip is tracked as by `steadyface track` unless OUT holds its tracks, NAME.npz; its page is
    OUT/NAME.report.html. Results, one or several, make one page, OUT/report.html.

    Parameters
    ----------
    inputs
        Videos, images or folders of images; or tracks (.npz, .csv, .parquet, .json); or results.json files of
        `steadyface evaluate`, or folders that hold one.
    out
        Folder for the pages; for results also for the tables (.md, .csv, .tex) and figures (.png, .svg).
    clip
        The clip of the tracks that are named, for pictures of the worst moments.
    quiet
        Print no progress.
    """
    if not inputs:
        raise ConfigError("nothing to report: name a clip, its tracks, or a results.json")
    kinds = {_kind(path) for path in inputs}
    if "results" in kinds:
        if len(kinds) > 1:
            raise ConfigError("results make one page, clips and tracks others: name them in two commands")
        return _report_results(inputs, out)
    if clip is not None and (len(inputs) > 1 or kinds != {"tracks"}):
        raise ConfigError("--clip goes with one file of tracks")
    return _report_clips(inputs, out, clip, options, quiet)


def _kind(path: Path) -> str:
    """results, tracks or clip."""
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder")
    if path.is_dir():
        if not (path / "results.json").exists() and (path / "run.json").exists():
            raise ConfigError(f"{path} holds predictions without figures: run steadyface score {path}")
        return "results" if (path / "results.json").exists() else "clip"
    if path.suffix.lower() == ".json":
        with path.open(encoding="utf-8", errors="replace") as file:
            return "results" if '"protocol"' in file.read(100) else "tracks"  # it stands first there
    return "tracks" if path.suffix.lower() in _TRACKS else "clip"


def _report_results(inputs: Sequence[Path], out: Path) -> int:
    from steadyface.evaluation.evaluate import load_results

    writing = import_extra("steadyface.evaluation.report", "plots")
    loaded = [load_results(path / "results.json" if path.is_dir() else path) for path in inputs]
    print(writing.write_report(loaded, out))
    return 0


def _report_clips(
    inputs: Sequence[Path],
    out: Path,
    clip: Path | None,
    options: TrackingOptions,
    quiet: bool,
) -> int:
    """A page for each input; the others are made if one cannot be."""
    from steadyface.clips import check_names
    from steadyface.report import PAGE, report_clip, report_tracks
    from steadyface.tracks import Tracks
    from steadyface.video import source_name

    check_names(inputs, suffix=PAGE)
    problems: list[str] = []
    for path in inputs:
        try:
            with show_progress(path.name, quiet) as progress:
                if _kind(path) == "tracks":
                    tracks, page = Tracks.load(path), out / f"{source_name(path)}{PAGE}"
                    report_tracks(tracks, page, clip=clip, fps=options.fps, name=path.name, progress=progress)
                    summary = None
                else:
                    page, summary = report_clip(path, out, options, progress=progress)
        except ConfigError:
            raise
        except SteadyfaceError as error:
            problems.append(str(error))
            continue
        print(page)
        problems += summary.problems if summary else ()
        if summary and summary.interrupted:
            break
    for problem in problems:
        complain(problem)
    return 1 if problems else 0
