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
    lag: int | None = None,
    decoder: str | None = None,
    max_faces: int = 4,
    device: str = "auto",
    weights: str = "compact",
    min_face: float | None = None,
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
        sta; sta-offline, which sees the whole future; sta-paper, the paper's form; a usual filter
        (moving-average, first-order, second-order, constant-velocity, one-euro, savitzky-golay); none; or a
        .json file written by fit-stabilizer.
    lag
        How many later frames each point may depend on, with sta. Left out: none.
    decoder
        How points are read from heatmaps: argmax, quarter, fhr, fhr_symmetric, least_squares or dark.
        Left out: the one built into the network.
    max_faces
        Most faces at a time, largest first.
    device
        auto, cpu or cuda.
    weights
        A bundled model's name, or an exported .onnx file.
    min_face
        Larger side of the smallest face to be found, px of the frame; costs time where that is small. Left
        out: about a twentieth of the frame's longer side.
    detector
        A YuNet .onnx file to find faces with, or a finder exported by `steadyface export`.
    fps
        Frame rate of a folder of images.
    quiet
        No progress and no summary.
    """
    from steadyface.clips import check_names, track_clip
    from steadyface.detector import choose_detector
    from steadyface.landmarker import Landmarker
    from steadyface.tracker import Tracker, TrackerConfig, choose_stabilizer

    if not inputs:
        raise ConfigError("nothing to track: name at least one video, image or folder of images")
    if not fps > 0:
        raise ConfigError(f"fps must be positive, got {fps}")
    formats = [name.strip() for name in format.split(",")]
    check_names(inputs)
    choice = choose_stabilizer(stabilizer, lag)
    tracker = Tracker(
        Landmarker(weights, decoder=decoder, device=device),
        detector=choose_detector(detector, min_face=min_face, device=device),
        stabilizer=choice.causal or "none",
        config=TrackerConfig(max_faces=max_faces),
    )
    problems = []
    for source in inputs:
        try:
            with _progress(source.name, quiet) as progress:
                summary = track_clip(
                    source,
                    out,
                    tracker,
                    formats=formats,
                    overlay=overlay,
                    fps=fps,
                    progress=progress,
                    choice=choice,
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
    from steadyface.models import DEFAULT_MODEL, FINDER, finder_card, model_cards

    print("name      input, px  heatmap, px  parameters  GFLOP    MB  HELEN NRMSE  over 8 %  licence")
    for card in model_cards():
        size = f"{card.name:<9} {card.input_size:>9} {card.map_size:>12} {card.parameters / 1e6:>9.2f} M"
        cost = f"{card.gflop:>6.2f} {card.megabytes:>5.1f}"
        print(f"{size} {cost} {card.helen_nrmse:>10.2f} % {card.helen_failure:>7.2f} %  {card.licence}")
    print(f"default: {DEFAULT_MODEL}; another by: steadyface track clip.mp4 --weights NAME")
    card = finder_card()
    print("\nname       side, px  parameters  GFLOP    MB  faces found  false boxes/photo  licence")
    cost = f"{card.parameters / 1e6:>9.2f} M {card.gflop:>6.2f} {card.megabytes:>5.1f}"
    print(
        f"{FINDER:<9} {card.side:>9} {cost} {card.recall:>10.2f} % {card.false_per_photo:>18.3f}  {card.licence}"
    )
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
    """Train a landmark network on 300-W, or the face finder on photographs.

    Parameters
    ----------
    recipe
        compact or tiny (the bundled landmark networks), finder (the bundled face finder), paper (the stacked
        hourglass of Tai et al. 2019, as they trained it), or smoke (one short epoch that only shows that
        training works).
    data
        Folder that holds 300w/ (LFPW, HELEN, AFW in the original layout) and faces/ (photographs with a
        faces.json of all their face boxes); finder needs the latter alone.
    out
        Folder for last.pt, best.safetensors and log.csv.
    start
        A .safetensors file to start from; otherwise a compact network's or a finder's encoder starts from
        ImageNet.
    teacher
        A .safetensors file of a network to imitate beside the annotations; not with finder.
    extra
        A folder of more images with .pts, such as `steadyface label` writes; not with finder.
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
def predict(
    protocol: str,
    *,
    data: Path,
    out: Path,
    weights: str = "compact",
    device: str = "auto",
    quiet: bool = False,
) -> int:
    """Run a network over a benchmark's images or videos and keep what it says.

    A run that was stopped goes on where it was when it is run again.

    Parameters
    ----------
    protocol
        300w-private, 300w-common, 300w-challenge, 300w-full, 300w-helen, folder (any with .pts), 300vw,
        talking-face or known-motion.
    data
        Folder that holds 300w/, 300vw/ or talking_face/, or the data set's own folder.
    out
        Folder for the predictions.
    weights
        A bundled model's name, or an exported .onnx file.
    device
        auto, cpu or cuda.
    quiet
        No progress.
    """
    from steadyface.evaluation.predict import predict as run

    with _progress(protocol, quiet, "items") as progress:
        folder = run(protocol, data, out, weights=weights, device=device, progress=progress)
    print(f"{folder.root}: {len(folder.names())} predicted, {len(folder.skipped())} left out")
    return 0


@app.command
def score(predictions: Path) -> int:
    """Print the figures of a folder of predictions, and write them to its results.json; no network runs.

    Parameters
    ----------
    predictions
        Folder written by `steadyface predict`.
    """
    from steadyface.evaluation.score import score as compute
    from steadyface.evaluation.tables import as_text

    results = compute(predictions)
    results.save(predictions / "results.json")
    print(as_text(results))
    return 0


@app.command
def evaluate(
    protocol: str,
    *,
    data: Path,
    out: Path | None = None,
    weights: str = "compact",
    device: str = "auto",
    quiet: bool = False,
) -> int:
    """Predict and score: a benchmark's figures, by one command.

    Parameters
    ----------
    protocol
        As of `steadyface predict`.
    data
        As of `steadyface predict`.
    out
        Folder for predictions and results.json. Left out: steadyface-eval/PROTOCOL-WEIGHTS.
    weights
        A bundled model's name, or an exported .onnx file.
    device
        auto, cpu or cuda.
    quiet
        No progress.
    """
    out = out or Path("steadyface-eval") / f"{protocol}-{Path(weights).stem}"
    predict(protocol, data=data, out=out, weights=weights, device=device, quiet=quiet)
    return score(out)


@app.command
def report(*results: Annotated[Path, Parameter(negative=())], out: Path) -> int:
    """Make one HTML page of results: tables and figures of the paper, with its own columns beside.

    Parameters
    ----------
    results
        results.json files, or folders that hold one.
    out
        Folder for report.html, the tables (.md, .csv, .tex) and the figures (.png, .svg).
    """
    from steadyface.evaluation.score import Results

    writing = _import_extra("steadyface.evaluation.report", "plots")
    if not results:
        raise ConfigError("nothing to report: name at least one results.json, see steadyface evaluate")
    loaded = [Results.load(path / "results.json" if path.is_dir() else path) for path in results]
    print(writing.write_report(loaded, out))
    return 0


@app.command
def make_sequences(
    *clips: Annotated[Path, Parameter(negative=())],
    out: Path,
    data: Path | None = None,
    every: int = 28,
    videos: Path | None = None,
    weights: str = "compact",
) -> int:
    """Make sequences with known truth, to fit a stabiliser on.

    Writes OUT/NAME_0.npz and so on; what is there already is left as it is, so that a run can be repeated.

    Parameters
    ----------
    clips
        Real videos, for their motion. They need the stills of DATA, in this run or an earlier one.
    out
        Folder for the sequences.
    data
        Folder that holds 300w/, whose training faces are made to move.
    every
        Of the training faces, every so many one is taken.
    videos
        Folder of 300-VW, whose training videos are tracked.
    weights
        A bundled model's name, or an exported .onnx file: the network whose errors are to be learnt.
    """
    from steadyface.clips import check_names
    from steadyface.datasets.annotated_videos import find_300vw
    from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples
    from steadyface.landmarker import Landmarker
    from steadyface.sequences import write_sequences

    if not (clips or data or videos):
        raise ConfigError("nothing to make sequences of: name clips, --data or --videos")
    check_names(clips)
    write_sequences(
        out,
        find_samples(data / "300w", TRAIN_PARTS)[:: max(every, 1)] if data else (),
        clips,
        find_300vw(videos, "train") if videos else (),
        landmarker=Landmarker(weights),
    )
    return 0


@app.command
def fit_stabilizer(
    *,
    sequences: Path,
    out: Path,
    kind: str = "sta",
    components: int = 2,
    basis: str = "joint",
    smooth: float = 8.0,
    delay: float = 10.0,
    midpoint: float = 1.0,
    raw_numbers: bool = False,
    fps: float = 30.0,
    evaluations: int = 400,
    polish: int = 10,
) -> int:
    """Fit a stabiliser to sequences with known truth.

    One sequence in five is kept from the fit, and the loss on those is printed beside. A fit that was
    interrupted goes on from OUT.part when it is run again.

    Parameters
    ----------
    sequences
        Folder of .npz files written by `steadyface make-sequences`.
    out
        The stabiliser (JSON), for `steadyface track --stabilizer`.
    kind
        sta, sta-paper, or one of the usual filters: see `steadyface track --help`.
    components
        Of the prior's mixture.
    basis
        joint (motion and noise uncorrelated), motion (the paper's) or identity.
    smooth
        λ1, the weight of smoothness.
    delay
        λ2, the weight of the delay.
    midpoint
        λ3; inf draws each point to the middle of its neighbours.
    raw_numbers
        Of sta-paper: search the paper's 412 numbers themselves.
    fps
        Frame rate at which parameters per frame shall hold.
    evaluations
        Of the loss, by Nelder-Mead.
    polish
        Iterations of L-BFGS afterwards.
    """
    import numpy as np

    from steadyface.sequences import CLIP, held_out, load_pair
    from steadyface.stabilizer import save_stabilizer
    from steadyface.stabilizer.fit import Weights, cut, fit, score

    weights = Weights(smooth, delay, midpoint)
    if out.suffix != ".json" or out.is_dir() or not out.parent.is_dir():
        raise ConfigError(f"{out}: must be a .json file in a folder that is there")
    pairs = {path: load_pair(path) for path in sorted(sequences.glob("*.npz"))}
    if not pairs:
        raise ConfigError(f"{sequences}: no .npz file, see steadyface make-sequences")
    kept = [pair for path, pair in pairs.items() if not held_out(path)] or list(pairs.values())
    others = [pair for path, pair in pairs.items() if held_out(path)]
    stabilizer = fit(
        kind,
        kept,
        fps=fps,
        weights=weights,
        components=components,
        basis=basis,
        raw_numbers=raw_numbers,
        clip=CLIP,
        evaluations=evaluations,
        polish=polish,
        checkpoint=out.with_name(f"{out.name}.part"),
        report=lambda line: print(line, flush=True),
        fitted=f"{len(kept)} sequences, λ1 {smooth:g}, λ2 {delay:g}, λ3 {midpoint:g}",
    )
    save_stabilizer(stabilizer, out)
    if others:
        value = np.exp(score(stabilizer, cut(others, fps, CLIP), weights))
        print(f"{kind}: loss {value:.4f} on the sequences held out")
    print(out)
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
def _progress(name: str, quiet: bool, unit: str = "frames") -> Iterator:
    """A progress line with its speed and the time left; none when quiet or not on a terminal."""
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
            bar.update(task, completed=done, total=total, speed=f"{speed:.0f} {unit}/s" if speed else "")

        yield advance
