"""Commands that fit a stabiliser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from steadyface.errors import ConfigError


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
    from steadyface.fitting.sequences import write_sequences
    from steadyface.landmarker import Landmarker

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

    from steadyface.fitting.fit import LossWeights, cut, fit, score
    from steadyface.fitting.sequences import CLIP, held_out, load_pair
    from steadyface.stabilizer import save_stabilizer

    weights = LossWeights(smooth, delay, midpoint)
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
