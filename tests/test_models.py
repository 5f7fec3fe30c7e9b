"""The bundled networks and their cards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steadyface import metrics
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.errors import WeightsError
from steadyface.geometry import bounding_box
from steadyface.landmarker import Landmarker
from steadyface.models import DEFAULT_MODEL, ModelCard, bundled_models, model_cards, model_path


def test_every_bundled_model_has_a_card_that_fits_its_file() -> None:
    cards = model_cards()
    assert [card.name for card in cards] == bundled_models()
    assert DEFAULT_MODEL in bundled_models()
    for card in cards:
        landmarker = Landmarker(card.name, device="cpu")
        assert (landmarker.input_size, landmarker.map_size) == (card.input_size, card.map_size)
        assert landmarker.name == card.name
        assert card.megabytes < 12
        assert "research" in card.licence


@pytest.mark.parametrize("card", model_cards(), ids=lambda card: card.name)
def test_a_card_states_what_helen_gives(card: ModelCard, data_dir: Path) -> None:
    """Every fifth face: close to the figure of all 330, whose own spread is about 1.2 %."""
    errors = []
    landmarker = Landmarker(card.name, device="cpu")
    for sample in find_samples(data_dir / "300w", ["helen-test"])[::5]:
        image, truth = sample.load()
        points = landmarker.predict(image, bounding_box(truth)).points.astype(float)
        errors.append(float(metrics.nrmse_interocular(points, truth)))
    assert np.mean(errors) == pytest.approx(card.helen_nrmse, abs=0.3)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(
        WeightsError, match="nothing: neither a file nor a bundled model; bundled are: compact"
    ):
        model_path("nothing")
