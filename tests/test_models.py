"""The bundled networks and their cards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from steadyface import metrics
from steadyface.datasets.three_hundred_w import find_samples
from steadyface.detector import SIDE, FaceFinder
from steadyface.devices import DEVICES
from steadyface.errors import ConfigError, WeightsError
from steadyface.geometry import bounding_box
from steadyface.identity import SIDE as CROP_SIDE
from steadyface.landmarker import Landmarker
from steadyface.models import (
    DEFAULT_MODEL,
    FINDER,
    IDENTITY,
    ModelCard,
    bundled_models,
    finder_card,
    identity_card,
    model_cards,
    model_kind,
    model_path,
    open_model,
)


def test_every_bundled_model_has_a_card_that_fits_its_file() -> None:
    cards = model_cards()
    assert [card.name for card in cards] == bundled_models()
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


def test_a_bare_name_takes_the_form_that_suits_the_device() -> None:
    assert Landmarker("tiny", device="cpu").name == "tiny-int8"
    assert Landmarker("tiny-float32", device="cpu").name == "tiny-float32"
    assert model_path("tiny", "float32") == model_path("tiny-float32")
    assert {name.rpartition("-")[2] for name in bundled_models()} == {"int8", "float32"}


@pytest.mark.parametrize("network", ["compact", "tiny", "nano"])
def test_eight_bits_lose_nothing(network: str) -> None:
    """As `tools/cards.py` measured it on HELEN test: at most 0.1 point."""
    errors = {card.name: card.helen_nrmse for card in model_cards()}
    assert errors[f"{network}-int8"] < errors[f"{network}-float32"] + 0.1


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(
        WeightsError,
        match=r"^nothing: neither a file nor a bundled model; bundled are: compact, nano, tiny "
        r"\(each also as -int8 and -float32\), finder and identity$",
    ):
        model_path("nothing")


def foreign(path: Path, operator: str = "Identity") -> Path:
    """An ONNX file of someone else's."""
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "ab"]
    node = onnx.helper.make_node(operator, ["a"], ["b"])
    graph = onnx.helper.make_graph([node], "graph", ends[:1], ends[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save_model(model, str(path))
    return path


class TestFinder:
    def test_is_bundled_beside_the_landmark_models(self) -> None:
        assert FINDER not in bundled_models()
        assert model_path(FINDER).parent == model_path(DEFAULT_MODEL).parent

    def test_its_card_fits_its_file(self) -> None:
        card = finder_card()
        assert card.side == SIDE
        assert card.megabytes == model_path(FINDER).stat().st_size / 1e6
        # Weights take two bytes each, and the graph some 100 kB.
        assert 2e-6 * card.parameters == pytest.approx(card.megabytes, abs=0.2)
        assert card.recall > 90
        assert 0 <= card.false_per_photo < 0.2
        assert "research" in card.licence


def test_the_card_of_identities_fits_its_file() -> None:
    card = identity_card()
    assert card.side == CROP_SIDE
    # Weights of a byte each, with their scales and the graph.
    assert 1e-6 * card.parameters == pytest.approx(card.megabytes, abs=0.2)
    assert "research" in card.licence
    open_model(IDENTITY, "identity", "cpu")


class TestOpenModel:
    def test_every_bundled_file_says_its_kind(self) -> None:
        assert IDENTITY not in bundled_models()
        assert model_kind(IDENTITY) == "identity"
        assert model_path(IDENTITY).stat().st_size < 6e6
        assert model_kind(FINDER) == "finder"
        assert model_kind(model_path(FINDER)) == "finder"
        assert {model_kind(name) for name in bundled_models()} == {"landmarks"}
        _, _, metadata = open_model(FINDER, "finder", "cpu")
        assert (metadata["name"], metadata["network"]) == ("finder", "finder")

    def test_a_foreign_file_has_no_kind(self, tmp_path: Path) -> None:
        path = foreign(tmp_path / "other.onnx")
        assert model_kind(path) is None
        with pytest.raises(WeightsError, match=r"other\.onnx: not a finder model exported by steadyface"):
            open_model(path, "finder")

    @pytest.mark.parametrize("threads", [0, -1, 1025])
    def test_the_number_of_threads_is_limited(self, threads: int) -> None:
        with pytest.raises(ConfigError, match=f"^threads must be from 1 to 1,024, got {threads}$"):
            open_model(FINDER, "finder", threads=threads)

    def test_one_kind_is_not_taken_for_another(self) -> None:
        with pytest.raises(WeightsError, match=r"^finder: not a landmarks model"):
            Landmarker(FINDER)
        with pytest.raises(WeightsError, match=rf"^{DEFAULT_MODEL}: not a finder model"):
            FaceFinder(DEFAULT_MODEL)

    @pytest.mark.parametrize("content", [b"", b"no", b"\0" * 64, "half", "unknown operator"])
    def test_what_is_no_model_is_named(self, tmp_path: Path, content: bytes | str) -> None:
        path = tmp_path / "bad.onnx"
        if content == "unknown operator":
            foreign(path, "Nonsense")
        else:
            whole = model_path(FINDER).read_bytes()
            path.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
        with pytest.raises(WeightsError, match=r"bad\.onnx"):
            open_model(path, "finder", "cpu")
        with pytest.raises(WeightsError, match=r"bad\.onnx"):
            model_kind(path)

    def test_what_is_not_there_is_named(self, tmp_path: Path) -> None:
        for missing in (tmp_path / "none.onnx", tmp_path):
            with pytest.raises(WeightsError, match="neither a file nor a bundled model"):
                model_kind(missing)

    def test_an_unknown_device_is_named(self) -> None:
        with pytest.raises(ConfigError, match=", ".join(DEVICES)):
            open_model(FINDER, "finder", "tpu")


@pytest.mark.usefixtures("unannotated")
@pytest.mark.parametrize("weights", [None, 3, ["tiny"]])
def test_weights_are_a_name_or_a_path(weights: object) -> None:
    with pytest.raises(WeightsError, match="neither a file nor a bundled model"):
        Landmarker(weights)  # type: ignore[arg-type]
