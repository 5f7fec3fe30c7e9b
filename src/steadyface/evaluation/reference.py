"""Outside checks: our metrics on predictions by others must give the published errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steadyface import metrics
from steadyface.arrays import FaceStack
from steadyface.evaluation.published import (
    FHR,
    HELEN_TEST_LATER,
    PRIVATE_TEST,
    PRIVATE_TEST_LATER,
    SPIGA,
    Accuracy,
)
from steadyface.files import read_arrays
from steadyface.geometry import CROP_MARGIN, Affine, bounding_box

CROP = 256
"""Side of the FHR authors' crops, px."""


@dataclass(frozen=True)
class Check:
    """Figures of a published model's predictions by our metrics.

    Args:
        name: of the model and the test set.
        nrmse, auc, failure: as computed here; %.
        published: the same figures as published.
        note: source of a difference, as far as it is known.
    """

    name: str
    nrmse: float
    auc: float
    failure: float
    published: Accuracy
    note: str = ""


def outside_checks(folder: str | Path) -> list[Check]:
    """Run the checks on a folder with `300w_private.npz` and `300w_helen_test.npz`.

    The FHR authors left points in their crops, not the crops. These are taken to be squares around the centre
    of the true points' box, ⌊1.3 · max(w, h)⌋ + 1 px wide. No rounding of box, centre or side that was tried
    gives the published 3.80; a shift of half a crop px to the left and down, as a half pixel lost between
    grids would make, comes closest.

    Raises:
        DataError: a file is missing or of another form.
    """
    private = _read(Path(folder) / "300w_private.npz", ("truth", "spiga", "fhr_crop256"))
    helen = _read(Path(folder) / "300w_helen_test.npz", ("truth", "spiga"))
    truth = private["truth"]
    shifted = private["fhr_crop256"] + np.array([-0.5, 0.5])
    return [
        _check("SPIGA, 300-W private test", private["spiga"], truth, PRIVATE_TEST_LATER[SPIGA]),
        _check("SPIGA, HELEN test", helen["spiga"], helen["truth"], HELEN_TEST_LATER[SPIGA]),
        _check(
            "FHR, 300-W private test",
            _from_crops(private["fhr_crop256"], truth),
            truth,
            PRIVATE_TEST[FHR],
            "the authors' crops are not known exactly",
        ),
        _check(
            "FHR, the same half a crop px left and down",
            _from_crops(shifted, truth),
            truth,
            PRIVATE_TEST[FHR],
            "chosen by the result: it shows the effect of a lost half pixel, and is no measurement",
        ),
    ]


def _check(
    name: str,
    points: FaceStack,
    truth: FaceStack,
    published: Accuracy,
    note: str = "",
) -> Check:
    errors = np.asarray(metrics.nrmse_interocular(points, truth))
    auc, failure = metrics.auc(errors), metrics.failure_rate(errors)
    return Check(name, float(errors.mean()), auc, failure, published, note)


def _from_crops(points: FaceStack, truth: FaceStack) -> FaceStack:
    """Points in px of the authors' crops → image px."""
    placed = []
    for face, box in zip(points, bounding_box(truth), strict=True):
        side = np.floor(CROP_MARGIN * (box[2:] - box[:2]).max()) + 1
        x, y = (box[:2] + box[2:]) / 2
        centred = Affine.translation(-(CROP - 1) / 2, -(CROP - 1) / 2)
        grown = Affine(np.array([[side / CROP, 0.0, x], [0.0, side / CROP, y]]))
        placed.append(centred.then(grown)(face))
    return np.array(placed)


def _read(path: Path, keys: tuple[str, ...]) -> dict[str, FaceStack]:
    arrays = read_arrays(path, "reference predictions", keys)
    return {key: array.astype(float) for key, array in arrays.items()}
