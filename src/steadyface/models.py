"""The landmark networks inside the package, and what is known of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from steadyface.errors import WeightsError

DEFAULT_MODEL = "compact"

_WEIGHTS = Path(str(files("steadyface") / "weights"))
_CARDS = "cards.json"


@dataclass(frozen=True)
class ModelCard:
    """What is known of a bundled network; measured and written by `benchmarks/cards.py`.

    Args:
        name: as `Landmarker` and `--weights` take it.
        input_size, map_size: sides of crop and heatmaps, px.
        parameters: number of them.
        gflop: of one crop through the network; a multiplication and an addition count as two.
        helen_nrmse, helen_failure: on HELEN test, ground-truth boxes × 1.3, default decoder: mean error in %
            of the inter-ocular distance, and % of faces above 8 %.
        licence: of the weights.
    """

    name: str
    input_size: int
    map_size: int
    parameters: int
    gflop: float
    helen_nrmse: float
    helen_failure: float
    licence: str

    @property
    def megabytes(self) -> float:
        """Size of the file."""
        return model_path(self.name).stat().st_size / 1e6


def bundled_models() -> list[str]:
    """Names of the landmark models inside the package."""
    return sorted(path.stem for path in _WEIGHTS.glob("*.onnx"))


def model_cards() -> list[ModelCard]:
    """The cards of all bundled models, by name."""
    cards = json.loads((_WEIGHTS / _CARDS).read_text(encoding="utf-8"))
    return [ModelCard(name=name, **cards[name]) for name in bundled_models()]


def model_path(weights: str | Path) -> Path:
    """The file of a bundled model's name, or the path itself.

    Raises:
        WeightsError: neither.
    """
    if str(weights) in bundled_models():
        return _WEIGHTS / f"{weights}.onnx"
    if not Path(weights).is_file():
        known = ", ".join(bundled_models())
        raise WeightsError(f"{weights}: neither a file nor a bundled model; bundled are: {known}")
    return Path(weights)
