"""Commands that fit a stabiliser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from steadyface.cli.terminal import say
from steadyface.errors import ConfigError
from steadyface.fitting.form import Form
from steadyface.wording import counted

if TYPE_CHECKING:
    from steadyface.fitting.fit import LossWeights, Pair


@dataclass(frozen=True)
class LossOptions:
    """Weights of the terms of the loss.

    Args:
        smooth: λ1, weight of smoothness. Increasing it gives calmer points, but more delay.
        delay: λ2, weight of the delay. Increasing it gives less delay, but more jitter.
        midpoint: λ3; with inf each point is drawn to the middle of its neighbours in time.
    """

    smooth: float = 8.0
    delay: float = 10.0
    midpoint: float = 1.0

    def __str__(self) -> str:
        return f"λ1 {self.smooth:g}, λ2 {self.delay:g}, λ3 {self.midpoint:g}"

    @property
    def weights(self) -> LossWeights:
        """As the loss takes them."""
        from steadyface.fitting.fit import LossWeights

        return LossWeights(self.smooth, self.delay, self.midpoint)


Loss = Annotated[LossOptions, Parameter(name="*")]


def make_sequences(
    *clips: Annotated[Path, Parameter(negative=())],
    out: Path,
    data: Path | None = None,
    every: int = 28,
    hard: bool = False,
    videos: Path | None = None,
    weights: str = "compact",
) -> int:
    """Make sequences with known truth for fitting a stabiliser.

    Writes OUT/NAME_0.npz and so on. Files that exist are kept, so that a stopped run can be continued.

    Parameters
    ----------
    clips
        Real videos, for their motion. They need the stills of DATA, from this run or an earlier one.
    out
        Folder for the sequences.
    data
        Folder that holds 300w/, whose training faces are animated.
    every
        Use every n-th training face.
    hard
        Animate each face once more, crossed by an object, with large roll and zoom, changing light and strong
        compression; for fit-picture.
    videos
        Folder of 300-VW, whose training videos are tracked.
    weights
        Name of a bundled network, or an exported .onnx file: the network whose errors the stabiliser learns.
    """
    from steadyface.clips import check_names
    from steadyface.datasets.annotated_videos import find_300vw
    from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples
    from steadyface.fitting.sequences import write_sequences
    from steadyface.landmarker import Landmarker

    if not (clips or data or videos):
        raise ConfigError("nothing to make sequences from: name clips, --data or --videos")
    if every < 1:
        raise ConfigError(f"every must be at least 1 face, got {every}")
    check_names(clips)
    write_sequences(
        out,
        find_samples(data / "300w", TRAIN_PARTS)[::every] if data else (),
        clips,
        find_300vw(videos, "train") if videos else (),
        landmarker=Landmarker(weights),
        hard=hard,
    )
    return 0


def fit_stabilizer(
    *,
    sequences: Path,
    out: Path,
    form: Annotated[Form, Parameter(name="*")] = Form(),
    loss: Loss = LossOptions(),
    fps: float = 30.0,
    evaluations: int = 400,
    polish: int = 10,
) -> int:
    """Fit a stabiliser to sequences with known truth.

    One sequence in five is held out, and the loss on those is printed at the end. An interrupted fit goes on
    from OUT.part when it is started again. How sta takes in displacements stays as in the bundled one; see
    fit-picture.

    Parameters
    ----------
    sequences
        Folder of .npz files written by `steadyface make-sequences`.
    out
        The stabiliser (JSON), for `steadyface track --stabilizer`.
    fps
        Frame rate to which parameters per frame refer.
    evaluations
        Number of evaluations of the loss by Nelder-Mead.
    polish
        Number of iterations of L-BFGS afterwards.
    """
    import numpy as np

    from steadyface.fitting.fit import cut, fit, score
    from steadyface.fitting.sequences import CLIP, is_hard
    from steadyface.stabilizer import load_stabilizer, save_stabilizer
    from steadyface.stabilizer.sta import STA

    _check_json(out)
    kept, others = _load_pairs(sequences, lambda path: not is_hard(path))
    stabilizer = fit(
        form,
        kept,
        fps=fps,
        weights=loss.weights,
        clip=CLIP,
        evaluations=evaluations,
        polish=polish,
        checkpoint=out.with_name(f"{out.name}.part"),
        report=say,
        fitted=f"{_described(kept)}, {loss}",
    )
    if isinstance(stabilizer, STA):
        stabilizer = replace(stabilizer, picture=load_stabilizer("sta").picture)
    save_stabilizer(stabilizer, out)
    if others:
        value = np.exp(score(stabilizer, cut(others, fps, CLIP), loss.weights))
        say(f"{form.kind}: loss {value:.4f} on the sequences held out")
    say(out)
    return 0


def fit_picture(
    *,
    sequences: Path,
    out: Path,
    stabilizer: str = "sta",
    loss: Loss = LossOptions(),
    evaluations: int = 250,
) -> int:
    """Fit how a stabiliser takes in displacements measured in the picture.

    All its other parameters stay. One sequence in five is held out, and the loss on those is printed before
    and after. An interrupted fit goes on from OUT.part when it is started again.

    Parameters
    ----------
    sequences
        Folder of .npz files written by `steadyface make-sequences`; its --hard ones take part.
    out
        The stabiliser (JSON), for `steadyface track --stabilizer`.
    stabilizer
        sta, or a .json file of that kind: where the search begins.
    evaluations
        Number of evaluations of the loss.
    """
    import numpy as np

    from steadyface.fitting.picture import fit_picture as fit
    from steadyface.fitting.picture import score_picture, with_motion
    from steadyface.fitting.sequences import CLIP
    from steadyface.stabilizer import load_stabilizer, save_stabilizer
    from steadyface.stabilizer.sta import STA

    _check_json(out)
    before = load_stabilizer(stabilizer)
    if not isinstance(before, STA):
        raise ConfigError(f"{stabilizer}: {before.kind} takes no displacements, only {STA.kind} does")
    kept, others = _load_pairs(sequences)
    after = fit(
        before,
        kept,
        weights=loss.weights,
        clip=CLIP,
        evaluations=evaluations,
        checkpoint=out.with_name(f"{out.name}.part"),
        report=say,
    )
    save_stabilizer(after, out)
    for name, pairs in (("fitted on", kept), ("held out", others)):
        if pairs:
            measured = with_motion(pairs, CLIP)
            values = [np.exp(score_picture(each, measured, loss.weights, CLIP)) for each in (before, after)]
            say(f"loss {values[0]:.4f} before, {values[1]:.4f} after on the sequences {name}")
    say(out)
    return 0


def _check_json(out: Path) -> None:
    if out.suffix != ".json" or out.is_dir() or not out.parent.is_dir():
        raise ConfigError(f"{out}: must be a .json file in an existing folder")


def _described(pairs: list[Pair]) -> str:
    """Number of sequences, and the networks whose points they are."""
    networks = sorted({pair.network for pair in pairs if pair.network})
    return counted(len(pairs), "sequence") + (f" of {' and '.join(networks)}" if networks else "")


def _load_pairs(sequences: Path, wanted: Callable[[Path], bool] = bool) -> tuple[list[Pair], list[Pair]]:
    """Sequences to fit on, and those held out; where all would be held out, none is."""
    from steadyface.fitting.sequences import held_out, load_pair

    pairs = {path: load_pair(path) for path in sorted(sequences.glob("*.npz")) if wanted(path)}
    if not pairs:
        raise ConfigError(f"{sequences}: no .npz file, see steadyface make-sequences")
    others = [pair for path, pair in pairs.items() if held_out(path)]
    kept = [pair for path, pair in pairs.items() if not held_out(path)]
    return kept or list(pairs.values()), others
