"""Commands that make HTML pages: of clips or their tracks, and of benchmark results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from steadyface.cli.terminal import complain, import_extra, say
from steadyface.errors import ConfigError, DataError, SteadyfaceError
from steadyface.pipeline import TrackingOptions
from steadyface.progress import show_progress

_TRACKS = (".npz", ".csv", ".parquet", ".json")
_RESULTS, _RUN = "results.json", "run.json"


def report(
    *inputs: Annotated[Path, Parameter(negative=())],
    out: Path = Path("steadyface-out"),
    clip: Path | None = None,
    options: Annotated[TrackingOptions, Parameter(name="*", group="Tracking")] = TrackingOptions(),
    quiet: bool = False,
) -> int:
    """Make an HTML page of each clip: trajectories, jitter, blinks and worst moments.

    A clip is tracked as by `steadyface track`, unless OUT already holds its tracks, NAME.npz; if options of
    tracking are given, only tracks with the same options are reused. Its page is OUT/NAME.report.html.

    Parameters
    ----------
    inputs
        Videos, images or folders of images; or tracks (.npz, .csv, .parquet, .json).
    out
        Folder for the pages.
    clip
        Clip of the tracks, for pictures of the worst moments.
    quiet
        Print no progress.
    """
    if not inputs:
        raise ConfigError("nothing to report: name a clip or its tracks")
    inputs = tuple({path.resolve(): path for path in inputs}.values())  # one that is named twice counts once
    for path in inputs:
        if not path.exists():
            raise ConfigError(f"{path}: no such file or folder")
        if any((path / name).exists() for name in (_RESULTS, _RUN)):
            raise _misplaced(path)
    tables = [path for path in inputs if path.suffix.lower() in _TRACKS]
    if clip is not None and not len(tables) == len(inputs) == 1:
        raise ConfigError("--clip goes with one file of tracks")
    if len(inputs) == 2 and len(tables) == 1 and inputs[0].stem == inputs[1].stem:
        (other,) = set(inputs) - set(tables)
        raise ConfigError(f"for the page of {tables[0]} with pictures of its clip: --clip {other}")
    return _report_clips(inputs, out, clip, options, quiet)


def evaluate_report(
    *results: Annotated[Path, Parameter(negative=())], out: Path = Path("steadyface-out")
) -> int:
    """Make an HTML page of benchmark results, with the paper's tables and figures.

    The page is OUT/report.html; beside it are the tables (.md, .csv, .tex) and figures (.png, .svg).

    Parameters
    ----------
    results
        results.json files of `steadyface evaluate` or `steadyface score`, or the folders that hold them.
    out
        Folder for the page, tables and figures.
    """
    from steadyface.evaluation.evaluate import load_results

    if not results:
        raise ConfigError(f"nothing to report: name a {_RESULTS}, or the folder that holds it")
    for path in results:
        if (path / _RUN).exists() and not (path / _RESULTS).exists():
            raise ConfigError(f"{path} holds predictions without figures: run steadyface score {path}")
    writing = import_extra("steadyface.evaluation.report", "plots")
    loaded = [load_results(path / _RESULTS if path.is_dir() else path) for path in results]
    say(writing.write_report(loaded, out))
    return 0


def _misplaced(path: Path) -> ConfigError:
    """Error that names the command for benchmark results."""
    return ConfigError(f"{path} holds benchmark results: use steadyface evaluate-report {path}")


def _report_clips(
    inputs: Sequence[Path],
    out: Path,
    clip: Path | None,
    options: TrackingOptions,
    quiet: bool,
) -> int:
    """Make a page for each input, also after one that fails."""
    from steadyface.clips import check_names
    from steadyface.report import PAGE, report_clip, report_tracks
    from steadyface.tracks import Tracks
    from steadyface.video import source_name

    def load_tracks(path: Path) -> Tracks:
        try:
            return Tracks.load(path)
        except DataError as error:
            if path.name == _RESULTS:
                raise _misplaced(path) from error
            raise

    check_names(inputs, suffix=PAGE)
    problems: list[str] = []
    for path in inputs:
        try:
            with show_progress(path.name, quiet) as progress:
                if path.suffix.lower() in _TRACKS:
                    tracks, page = load_tracks(path), out / f"{source_name(path)}{PAGE}"
                    report_tracks(tracks, page, clip=clip, fps=options.fps, name=path.name, progress=progress)
                    summary = None
                else:
                    page, summary = report_clip(path, out, options, progress=progress)
        except ConfigError:
            raise
        except SteadyfaceError as error:
            problems.append(str(error))
            continue
        say(page)
        problems += summary.problems if summary else ()
        if summary and summary.interrupted:
            break
    for problem in problems:
        complain(problem)
    return 1 if problems else 0
