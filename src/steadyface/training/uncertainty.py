"""Fit the head of visibility and error on a trained network, which stays as it is.

Each face is shown twice in the same crop: as it is, and behind an object whose mask is known. The frozen
network's features are computed once; the head is a small regression on them, with the losses:

- visibility: binary cross-entropy with the annotations; a covered point is hidden.
- error: likelihood of the distance from the truth under Student's t, which outliers hardly widen.
- steadiness: beside an object a point keeps its standard deviation, behind it that is at least doubled.

At the end three numbers are set so that the covariances cover held-out faces' errors as a Gaussian's would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from steadyface.checkpoint import load_network, save_network, start_from
from steadyface.datasets.extra import HELD_OUT_ONE_IN, find_extra
from steadyface.datasets.three_hundred_w import TRAIN_PARTS, find_samples, hold_out, split
from steadyface.errors import ConfigError, DataError
from steadyface.files import writing
from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.uncertainty import UncertaintyHead
from steadyface.training.augmentation import Augmentation
from steadyface.training.loop import Report
from steadyface.training.views import Views, load_faces, view_faces

SETS = ("profiles", "aflw80", "helen256")
"""Extra sets that say which points are visible."""

_VARIED = Augmentation(scale=0.12, roll=12.0, camera=0.2, occlusion=0.0)
_PLAIN = Augmentation(scale=0.04, shift=0.01, roll=4.0, camera=0.0, occlusion=0.0, reflect=0.0)
_EXTRA, _JUDGED = 10, 100  # seeds of the first extra set and of the first held-out one
_FREEDOM = 4.0  # degrees of freedom of Student's t
_POWERS = (0.0, 0.1, 0.2)  # more would undo what keeps σ beside an object
_COVERAGE = tuple(math.erf(k / math.sqrt(2)) for k in (1, 2))


@dataclass(frozen=True)
class Fit:
    """Numbers of the fit.

    Args:
        width: of the head.
        passes: over 300-W's faces, each with crops and objects of its own; extra sets are shown once.
        epochs: over the features.
        batch_size: pairs of views.
        learning_rate: at its peak.
        hidden: weight of a hidden point's visibility.
        steady: weight of the change of log σ of points that an object leaves visible. Increasing it keeps
            their σ steadier, but σ then also differs less between sharp and blurred faces.
        slack: change of log σ of a visible point that costs nothing.
        doubled: weight of the amount by which a covered point's log σ grows by less than ln `growth`.
        growth: least ratio of σ behind an object to σ without it.
        seed: of everything random.
    """

    width: int = 64
    passes: int = 2
    epochs: int = 12
    batch_size: int = 16
    learning_rate: float = 2e-3
    hidden: float = 1.5
    steady: float = 1.4
    slack: float = 0.05
    doubled: float = 1.0
    growth: float = 2.2
    seed: int = 0


def loss(head: UncertaintyHead, views: Views, fit: Fit) -> Float[Tensor, ""]:
    """Sum the losses of visibility, error and steadiness over a batch."""
    logits, factor = (
        value.unflatten(0, (-1, 2))
        for value in head(views.features.flatten(0, 1).float(), views.context.flatten(0, 1))
    )
    annotated = ~views.visible.isnan()
    truth = views.visible[annotated]
    weight = torch.where(truth > 0, 1.0, fit.hidden)
    entropy = nn.functional.binary_cross_entropy_with_logits(logits[annotated], truth, weight)
    known = ~views.errors.isnan().any(-1)
    size = log_size(factor)
    distance = whiten(factor[known], views.errors[known]).square().sum(-1)
    tail = (_FREEDOM + 2) / 2 * torch.log1p(distance / _FREEDOM)
    likelihood = (2 * size[known] + tail).mean()
    covered = views.visible[:, 1] < views.visible[:, 0]
    kept = ~covered & (views.visible[:, 0] == 1)
    growth = size[:, 1] - size[:, 0]
    changed = (growth[kept].abs() - fit.slack).relu().mean()
    lacking = (math.log(fit.growth) - growth[covered]).relu().square().mean()
    return entropy + likelihood + fit.steady * changed + fit.doubled * lacking


def log_size(factor: Float[Tensor, "*n 2 2"]) -> Float[Tensor, "*n"]:
    """Logarithm of the geometric mean of both standard deviations."""
    return torch.log(factor.diagonal(dim1=-2, dim2=-1)).mean(-1)


def whiten(factor: Float[Tensor, "n 2 2"], errors: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    """Solve L z = e: the errors in standard deviations, uncorrelated if L Lᵀ is their covariance."""
    x = errors[:, 0] / factor[:, 0, 0]
    return torch.stack([x, (errors[:, 1] - factor[:, 1, 0] * x) / factor[:, 1, 1]], dim=-1)


def train_head(head: UncertaintyHead, views: Views, fit: Fit, report: Report) -> None:
    """Fit the head, with one cycle of the learning rate."""
    torch.manual_seed(fit.seed)
    _standardise(head, views)
    head.train()
    steps = fit.epochs * (len(views) // fit.batch_size)
    optimizer = torch.optim.AdamW(head.parameters(), lr=fit.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, fit.learning_rate, total_steps=steps + 1)
    for epoch in range(fit.epochs):
        total = 0.0
        order = torch.randperm(len(views))[: len(views) // fit.batch_size * fit.batch_size]
        for rows in order.split(fit.batch_size):
            optimizer.zero_grad()
            value = loss(head, views[rows], fit)
            value.backward()
            optimizer.step()
            schedule.step()
            total += float(value.detach())
        report(f"epoch {epoch + 1}/{fit.epochs}  loss {total * fit.batch_size / len(order):.4f}")
    head.eval()


def _standardise(head: UncertaintyHead, views: Views) -> None:
    """Set the head's means and scales so that its inputs have mean 0 and deviation 1."""
    drawn = views[torch.randperm(len(views))[:1000]]
    features, context = drawn.features.float().flatten(0, 2), drawn.context.flatten(0, 1)
    for mean, scale, values in (
        (head.feature_mean, head.feature_scale, features),
        (head.context_mean, head.context_scale, context),
    ):
        mean.copy_(values.mean(0))
        scale.copy_(1 / values.std(0).clamp_min(1e-3))


@torch.no_grad()
def calibrate(head: UncertaintyHead, groups: Sequence[Views]) -> float:
    """Set k, p and q of the head so that 1 σ and 2 σ hold as many errors as with a Gaussian.

    k and p are chosen for visible points, then q for covered ones.

    Args:
        head: its `spread`, `power` and `veil` (k, p and q) are set.
        groups: faces that neither the network nor the head has learnt from; each group, and in it the plain
            and the covered view, counts the same.

    Returns:
        Mean difference of both coverages from the Gaussian's, 0 to 1.
    """
    head.spread.fill_(1.0)
    head.veil.fill_(0.0)
    trials = []
    for power in _POWERS:
        head.power.fill_(power)
        gap, spread = _best_factor([_whitened(head, views, side) for views in groups for side in (0, 1)])
        trials.append((gap, spread, power))
    gap, spread, power = min(trials)
    head.spread.fill_(spread)
    head.power.fill_(power)
    covered_gap, veil = _best_factor([_whitened(head, views, 1, covered=True) for views in groups])
    head.veil.fill_(math.log(veil))
    return (2 * gap + covered_gap) / 3


def _best_factor(sets: Sequence[Tensor]) -> tuple[float, float]:
    """Find the factor of all standard deviations with the best coverage.

    Returns:
        Mean difference of the coverage from a Gaussian's, and the factor.
    """
    gaussian = torch.tensor(_COVERAGE)

    def gap(factor: float) -> float:
        coverage = [torch.stack([(errors < k * factor).float().mean() for k in (1, 2)]) for errors in sets]
        return float(torch.stack(coverage).sub(gaussian).abs().mean())

    return min((gap(factor / 50), factor / 50) for factor in range(20, 151))


def _whitened(head: UncertaintyHead, views: Views, side: int, covered: bool = False) -> Tensor:
    """Absolute errors of a view in standard deviations, of the visible points or of the covered ones."""
    _, factor = head(views.features[:, side].float(), views.context[:, side])
    behind = views.visible[:, 1] < views.visible[:, 0]
    chosen = behind if covered else views.visible[:, side] == 1
    chosen = chosen & ~views.errors[:, side].isnan().any(-1)
    return whiten(factor[chosen], views.errors[:, side][chosen]).abs()


def fit_uncertainty(
    checkpoint: str | Path, data: str | Path, out: str | Path, *, fit: Fit = Fit(), report: Report = print
) -> Path:
    """Add a head of visibility and error to a trained network, whose own weights stay as they are.

    Args:
        checkpoint: a `.safetensors` file of a compact network; a head that it has already is replaced.
        data: folder with `300w` and `extra`; the sets of `SETS` that `extra` has are used.
        out: the `.safetensors` file.
        fit: numbers of the fit.
        report: gets lines on the data found, and one line per epoch.

    Raises:
        ConfigError: another network than a compact one.
        WeightsError: no such file.
        DataError: no faces, or a broken one; or `out` cannot be written.
    """
    net, head = _with_head(checkpoint, fit)
    with writing(out):
        Path(out).parent.mkdir(parents=True, exist_ok=True)
    if Path(out).is_dir():
        raise DataError(out, "is a folder, not the name of a file")
    data = Path(data)
    training, spare = split(data / "300w", find_samples(data / "300w", TRAIN_PARTS))
    faces, judges = load_faces(training), [2 * load_faces(spare)]
    if len(faces) < fit.batch_size:
        raise DataError(data / "300w", f"{len(faces)} faces to train on; a batch takes {fit.batch_size}")
    report(f"300-W: {len(faces)} faces, {len(spare)} held out")
    shown = dict.fromkeys(range(fit.passes), faces)
    for number, part in enumerate(SETS):
        samples, others = hold_out(find_extra(data / "extra", part), HELD_OUT_ONE_IN)
        report(f"{part}: {len(samples) or 'missing'}")
        if samples:
            shown[_EXTRA + number] = load_faces(samples)
        if others and part != "helen256":  # the other half of those held out judges the result
            _, judging = hold_out(others, 2 * HELD_OUT_ONE_IN)
            if judging:
                judges.append(load_faces(judging))
    views = []
    for seed, group in shown.items():
        views.append(view_faces(net, group, faces, _VARIED, seed))
        report(f"{sum(map(len, views))} of {sum(map(len, shown.values()))} faces seen")
    train_head(head, Views.join(views), fit, report)
    held_out = [
        view_faces(net, group, faces, _PLAIN, _JUDGED + number) for number, group in enumerate(judges)
    ]
    report(f"coverage differs by {100 * calibrate(head, held_out):.1f} points on average")
    save_network(net, out)
    return Path(out)


def _with_head(checkpoint: str | Path, fit: Fit) -> tuple[CompactNet, UncertaintyHead]:
    """Load the network, with a fresh head."""
    config = load_network(checkpoint).config
    if not isinstance(config, CompactConfig):
        raise ConfigError(f"{checkpoint}: only a compact network can have a head of visibility and error")
    torch.manual_seed(fit.seed)
    net = CompactNet(replace(config, uncertainty=fit.width)).eval()
    start_from(net, checkpoint)
    assert net.uncertainty is not None
    return net.to(memory_format=torch.channels_last), net.uncertainty
