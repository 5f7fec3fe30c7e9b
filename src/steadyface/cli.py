"""The command line: each command parses, makes one call, prints, and sets the exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from steadyface import heatmap
from steadyface._version import __version__
from steadyface.errors import ConfigError, MissingExtraError, SteadyfaceError

_EXAMPLES = """Examples:

```
steadyface track clip.mp4
steadyface track a.mp4 b.mov photos/ --out results --format npz,csv
steadyface track talk.mp4 --stabilizer none --decoder fhr --no-overlay
steadyface demo
```
"""

app = App(
    name="steadyface",
    version=__version__,
    help="68 facial landmarks in high-resolution video: accurate below a pixel, steady, without lag.",
    help_epilogue=_EXAMPLES,
)


@app.command
def track(
    *inputs: Annotated[Path, Parameter(negative=())],
    out: Path = Path("steadyface-out"),
    format: str = "npz",
    overlay: bool = True,
    stabilizer: str = "sta",
    decoder: str | None = None,
    max_faces: int = 4,
    device: str = "auto",
    weights: str = "compact",
    detector: Path | None = None,
    fps: float = 25.0,
    quiet: bool = False,
) -> int:
    """Find and follow the faces of videos, images or folders of images.

    Writes OUT/STEM.npz (and other formats) and OUT/STEM.overlay.mp4 for each input.

    Parameters
    ----------
    inputs
        Videos, images, or folders of images (in name order, taken as one sequence).
    out
        Folder for the results.
    format
        One or several of npz, csv, parquet, json, pts, separated by commas.
    overlay
        Also write the video with the faces drawn in.
    stabilizer
        sta or none.
    decoder
        How points are read from heatmaps: argmax, quarter, fhr, fhr_symmetric, least_squares or dark.
        Left out: the one built into the network.
    max_faces
        Most faces at a time, largest first.
    device
        auto, cpu or cuda.
    weights
        A bundled model's name, or an exported .onnx file.
    detector
        A YuNet .onnx file to be used in place of OpenCV's cascade.
    fps
        Frame rate of a folder of images.
    quiet
        No progress and no summary.
    """
    from steadyface.clips import check_names, track_clip
    from steadyface.detector import YuNetDetector
    from steadyface.landmarker import Landmarker
    from steadyface.tracker import Tracker, TrackerConfig

    if not inputs:
        raise ConfigError("nothing to track: name at least one video, image or folder of images")
    if not fps > 0:
        raise ConfigError(f"fps must be positive, got {fps}")
    formats = [name.strip() for name in format.split(",")]
    check_names(inputs)
    tracker = Tracker(
        Landmarker(weights, decoder=decoder, device=device),
        detector=YuNetDetector(detector) if detector else None,
        stabilizer=stabilizer,
        config=TrackerConfig(max_faces=max_faces),
    )
    problems = []
    for source in inputs:
        try:
            with _progress(source.name, quiet) as progress:
                summary = track_clip(
                    source, out, tracker, formats=formats, overlay=overlay, fps=fps, progress=progress
                )
        except ConfigError:
            raise
        except SteadyfaceError as error:
            problems.append(str(error))
            continue
        if not quiet:
            print(summary, *(f"  {file}" for file in summary.files), sep="\n")
        problems += summary.problems
        if summary.interrupted:
            break
    for problem in problems:
        _complain(problem)
    return 1 if problems else 0


@app.command
def demo(*, out: Path = Path("steadyface-demo")) -> int:
    """Track a portrait under a known camera motion and print how far the result is from it.

    Parameters
    ----------
    out
        Folder for the clip, its tracks and its overlay.
    """
    from steadyface.demo import run_demo

    result = run_demo(out)
    print(result.summary, *(f"  {file}" for file in result.summary.files), sep="\n")
    print("\nagainst the known motion    error %   stability %   delay, frames")
    for name, value in (("raw", result.raw), ("stabilised", result.stabilised)):
        print(f"{name:<25} {value.error:9.3f} {value.stability:13.3f} {value.delay:15.2f}")
    print("(% of the inter-ocular distance; the network's constant error does not show here)")
    return 0


@app.command
def models() -> int:
    """List the bundled networks: size, cost, accuracy and licence."""
    from steadyface.models import DEFAULT_MODEL, model_cards

    print("name      input, px  heatmap, px  parameters  GFLOP    MB  HELEN NRMSE  over 8 %  licence")
    for card in model_cards():
        size = f"{card.name:<9} {card.input_size:>9} {card.map_size:>12} {card.parameters / 1e6:>9.2f} M"
        cost = f"{card.gflop:>6.2f} {card.megabytes:>5.1f}"
        print(f"{size} {cost} {card.helen_nrmse:>10.2f} % {card.helen_failure:>7.2f} %  {card.licence}")
    print(f"default: {DEFAULT_MODEL}; another by: steadyface track clip.mp4 --weights NAME")
    return 0


@app.command
def train(
    recipe: str,
    *,
    data: Path,
    out: Path,
    start: Path | None = None,
    teacher: Path | None = None,
    extra: Path | None = None,
    skip_bad: bool = False,
    devices: int = 1,
    resume: bool = False,
) -> int:
    """Train a landmark network on 300-W.

    Parameters
    ----------
    recipe
        compact or tiny (the bundled networks), paper (the stacked hourglass of Tai et al. 2019, as they
        trained it), or smoke (one short epoch that only shows that training works).
    data
        Folder that holds 300w/ (LFPW, HELEN, AFW in the original layout) and faces/.
    out
        Folder for last.pt, best.safetensors and log.csv.
    start
        A .safetensors file to start from; otherwise a compact network's encoder starts from ImageNet.
    teacher
        A .safetensors file of a network to imitate beside the annotations.
    extra
        A folder of more images with .pts, such as `steadyface label` writes.
    skip_bad
        Name bad annotations and images and go on without them; otherwise the first one ends the run.
    devices
        GPUs to share the work, or processes where there is no GPU.
    resume
        Go on from OUT/last.pt.
    """
    training = _import_extra("steadyface.training", "train")
    if recipe not in training.RECIPES:
        raise ConfigError.choice("recipe", recipe, training.RECIPES)
    best = training.train(
        training.RECIPES[recipe],
        data,
        out,
        start=start,
        teacher=teacher,
        extra=extra,
        skip_bad=skip_bad,
        devices=devices,
        resume=resume,
        report=lambda line: print(line, flush=True),
    )
    print(best)
    return 0


@app.command
def label(
    *inputs: Annotated[Path, Parameter(negative=())], out: Path, every: int = 12, weights: str = "compact"
) -> int:
    """Label the faces of clips and photographs by a network, for another to be trained on.

    Writes OUT/NAME.jpg and OUT/NAME.pts for each face on which plain and mirrored views agree; pass OUT to
    `steadyface train --extra`.

    Parameters
    ----------
    inputs
        Videos, images, or folders; of a folder with a faces.json, the faces that are not annotated.
    out
        Folder for the images and points.
    every
        How many frames of a clip lie between labelled ones.
    weights
        A bundled model's name, or an exported .onnx file.
    """
    from steadyface.labels import write_labels
    from steadyface.landmarker import Landmarker
    from steadyface.tracker import Tracker

    if not inputs:
        raise ConfigError("nothing to label: name at least one video, image or folder")
    tracker = Tracker(Landmarker(weights), stabilizer="none")
    for source in inputs:
        kept, seen = write_labels(source, out, tracker, every)
        print(f"{source.name}: {kept} of {seen} faces labelled")
    return 0


@app.command
def export(model: Path, *, out: Path, name: str | None = None, decoder: str = heatmap.DEFAULT_METHOD) -> int:
    """Write a trained network as one ONNX file, verified against torch.

    Parameters
    ----------
    model
        A .safetensors file written by `steadyface train`.
    out
        The ONNX file.
    name
        Kept in the file; left out: the file's own name.
    decoder
        Built into the graph.
    """
    checkpoint = _import_extra("steadyface.checkpoint", "train")
    exporting = _import_extra("steadyface.export", "export")
    worst = exporting.export_onnx(checkpoint.load_network(model), out, name=name or out.stem, method=decoder)
    print(f"{out}: points within {worst:.4f} px of torch")
    return 0


@app.command
def fit_stabilizer(
    *, sequences: Path, out: Path, stills: Path | None = None, fps: float = 30.0, evaluations: int = 600
) -> int:
    """Fit the stabiliser's parameters to tracked clips and to training stills under known motion.

    Parameters
    ----------
    sequences
        Folder of .npz files written by `steadyface track`; their truth is their own raw points, smoothed
        with sight of the future.
    out
        The parameter file (JSON).
    stills
        A 300-W folder: every 80th training face is moved before a camera and run through the network.
    fps
        Frame rate that the sequences have in common.
    evaluations
        Of the loss, by Nelder-Mead.
    """
    from steadyface.datasets.sequences import pairs_of_stills, pairs_of_tracks
    from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples
    from steadyface.landmarker import Landmarker
    from steadyface.stabilizer.fit import fit

    pairs = list(pairs_of_tracks(sorted(sequences.glob("*.npz"))))
    clips = len(pairs)
    if stills is not None:
        pairs += pairs_of_stills(find_samples(stills, TRAIN_PARTS)[::80], Landmarker())
    if not pairs:
        raise ConfigError(f"{sequences}: no .npz file with 30 successive frames of a face")
    fitted = f"{clips} runs of tracked clips, {len(pairs) - clips} stills under known motion"
    fit(pairs, fps, evaluations=evaluations, fitted=fitted).save(out)
    print(f"{out}: fitted to {fitted}")
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with 0, 1 (it failed, in one line) or 2 (bad usage)."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _complain(f"{error}  (see steadyface --help)")
        code = 2
    except SteadyfaceError as error:
        _complain(str(error))
        code = 1
    except KeyboardInterrupt:
        _complain("interrupted")
        code = 1
    sys.exit(code or 0)


def _complain(problem: str) -> None:
    print(f"steadyface: {' '.join(problem.split())}", file=sys.stderr)


def _import_extra(module: str, extra: str):  # type: ignore[no-untyped-def]
    """Import a module that needs an optional dependency, or say how to install it."""
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), extra) from error


@contextmanager
def _progress(name: str, quiet: bool) -> Iterator:
    """A progress line with frames/s and time left; none when quiet or not on a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None, speed="")

        def advance(done: int, total: int | None) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, speed=f"{speed:.0f} frames/s" if speed else "")

        yield advance
