"""Exported files: they see what their source sees, in any form, and tell nothing else."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from finder_maps import CELL, draw
from torch import Tensor, nn

import steadyface
from steadyface.checkpoint import build_from
from steadyface.cli import main
from steadyface.demo import portrait
from steadyface.detector import FaceFinder
from steadyface.errors import ConfigError, DataError, ExportError, WeightsError
from steadyface.export import Deviation, Form, check, export_model
from steadyface.export.network import export_onnx
from steadyface.export.packing import pack_weights, unpack_weights
from steadyface.geometry import Region
from steadyface.images import crop_region, write_image
from steadyface.landmarker import Landmarker
from steadyface.models import FINDER, bundled_models, model_kind, model_path
from steadyface.nets import FinderConfig, FinderNet, finder
from steadyface.nets.graph import FinderGraph
from steadyface.pts import write_pts

TOLERANCE_PX = check.TOLERANCE_PX
CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
CONFIG = FinderConfig(input_size=64, widths=(8, 8, 8), blocks=(0, 0, 1))
BOXES = [[20.0, 36.0, 52.0, 68.0], [90.0, 60.0, 154.0, 124.0], [200.0, 10.0, 264.0, 42.0]]


class Reader(FinderNet):
    """Takes the maps from the frame's colours, and a thousandth of what the network says on top."""

    def forward(self, images: Tensor) -> Tensor:
        said = super().forward(images)
        below, beside = ((-length) % 32 for length in images.shape[2:])
        padded = nn.functional.pad(images, (0, beside, 0, below))
        red, green, blue = nn.functional.avg_pool2d(padded, CELL).split(1, dim=1)
        heat = torch.logit(red / 255, 1e-6)
        return torch.cat([heat, green / 60, blue / 60, 0 * heat, 0 * heat], dim=1) + 1e-3 * said


def painted(height: int, width: int) -> np.ndarray:
    """A frame in which a `Reader` finds `BOXES`."""
    rows, columns = (-(-length // 32) * 4 for length in (height, width))
    maps = draw(BOXES, (rows, columns))[0]
    cells = torch.stack([maps[0].sigmoid() * 255, maps[1] * 60, maps[2] * 60], dim=-1).round().to(torch.uint8)
    frame = cells.numpy().repeat(CELL, axis=0).repeat(CELL, axis=1)
    return np.ascontiguousarray(frame[:height, :width])


@dataclass(frozen=True)
class Exported:
    path: Path
    graph: FinderGraph
    deviation: Deviation
    warned: list[str]

    def run(self, image: np.ndarray, threshold: float) -> list[np.ndarray]:
        session = onnxruntime.InferenceSession(str(self.path), providers=["CPUExecutionProvider"])
        return session.run(None, {"image": image, "threshold": np.array(threshold, np.float32)})


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """With one block per stage, which is enough to see that each kind of block is exported."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finder, "_STAGES", [stage._replace(repeats=1) for stage in finder._STAGES])
        net = Reader(CONFIG).eval()
    path = tmp_path_factory.mktemp("export") / "mine.onnx"
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", FutureWarning)
        deviation = export_onnx(net, path, name="mine")
    return Exported(path, FinderGraph(net).eval(), deviation, [str(each.message) for each in warned])


def test_nothing_is_said_of_what_torch_will_change(exported: Exported) -> None:
    assert exported.warned == []


def test_export_compares_with_torch_itself(exported: Exported) -> None:
    assert 0 <= exported.deviation.mean <= exported.deviation.worst <= TOLERANCE_PX


@torch.inference_mode()
@pytest.mark.parametrize("shape", [(1, 1), (33, 40), (130, 270), (256, 320), (700, 31)])
def test_the_file_sees_what_torch_sees_in_frames_of_any_size(
    exported: Exported, shape: tuple[int, int]
) -> None:
    image = painted(*shape)
    boxes, scores = (part.numpy() for part in exported.graph(torch.from_numpy(image), torch.tensor(0.3)))
    found, their_scores = exported.run(image, 0.3)
    assert len(boxes) == sum(box[0] < shape[1] and box[1] < shape[0] for box in BOXES)
    np.testing.assert_allclose(found, boxes, rtol=0, atol=TOLERANCE_PX)
    np.testing.assert_allclose(their_scores, scores, rtol=0, atol=1e-3)  # weights of 16 bits


def test_the_threshold_is_an_input(exported: Exported) -> None:
    image = painted(130, 270)
    assert [len(exported.run(image, threshold)[0]) for threshold in (0.3, 1.01)] == [3, 0]


def test_the_finder_reads_the_file(exported: Exported) -> None:
    boxes, scores = FaceFinder(exported.path, device="cpu").find(painted(130, 270))
    # px: sizes are painted in steps of e^(1/60), or 1.7 %, and the network says a thousandth of its own.
    np.testing.assert_allclose(sorted(boxes.tolist()), sorted(BOXES), rtol=0, atol=0.01 * 64)
    assert scores.min() > 0.95


def test_metadata_rebuild_the_network(exported: Exported) -> None:
    model = onnx.load(exported.path)
    said = {entry.key: entry.value for entry in model.metadata_props}
    config, mean, worst = (said.pop(key) for key in ("config", "deviation_mean_px", "deviation_worst_px"))
    assert (mean, worst) == (f"{exported.deviation.mean:.4f}", f"{exported.deviation.worst:.4f}")
    assert said == {
        "kind": "steadyface.finder",
        "name": "mine",
        "network": "finder",
        "precision": "float32",
    }
    assert json.loads(config) == json.loads(json.dumps(CONFIG.as_dict()))
    net = build_from("finder", config)
    assert isinstance(net, FinderNet)
    assert net.config == CONFIG
    assert model_kind(exported.path) == "finder"
    assert [part.name for part in model.graph.input] == ["image", "threshold"]
    assert [part.name for part in model.graph.output] == ["boxes", "scores"]


def test_weights_take_sixteen_bits(exported: Exported) -> None:
    numbers = sum(value.numel() for value in exported.graph.net.state_dict().values())
    assert exported.path.stat().st_size < 3 * numbers


@pytest.mark.parametrize("name", [*bundled_models(), FINDER, "mine"])
def test_a_file_holds_no_trace_of_where_it_was_made(exported: Exported, name: str) -> None:
    path = exported.path if name == "mine" else model_path(name)
    whole = path.read_bytes()
    sources = Path(steadyface.__file__).parent
    for trace in (str(sources), str(sources.parents[1]), str(Path.home()), "site-packages", "torch/"):
        assert trace.encode() not in whole
    model = onnx.load_from_string(whole)
    for weight in model.graph.initializer:
        weight.ClearField("raw_data")  # numbers, in which three given bytes may well occur
    assert b".py" not in model.SerializeToString()
    assert not model.graph.value_info
    for node in model.graph.node:
        assert not node.metadata_props
        assert not node.doc_string


def test_the_bundled_finder_is_small() -> None:
    assert model_path(FINDER).stat().st_size <= 1.5e6


# ------------------------------------------------------------------------ forms of a landmark network


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait from some distances, with the points that the bundled network finds."""
    folder, scene = tmp_path_factory.mktemp("faces"), portrait()
    rng = np.random.default_rng(1)
    for i in range(6):
        region = Region(*(scene.centre + rng.normal(0, 10, 2)), float(rng.uniform(140, 260)))
        image, _ = crop_region(scene.still, region, 256)
        middle, reach = 128, 55 * 256 / region.side
        found = Landmarker("tiny", device="cpu").predict(
            image, [middle - reach, middle - reach, middle + reach, middle + reach]
        )
        write_image(folder / f"face{i}.png", image)
        write_pts(folder / f"face{i}.pts", found.points)
    return folder


def predictions(path: str | Path) -> np.ndarray:
    """Points (crop px) of crops that no export is compared on."""
    landmarker, scene = Landmarker(path, device="cpu"), portrait()
    rng = np.random.default_rng(5)
    regions = [
        Region(*(scene.centre + rng.normal(0, 6, 2)), float(rng.uniform(115, 165)), float(rng.normal(0, 0.2)))
        for _ in range(5)
    ]
    crops = [crop_region(scene.still, region, landmarker.input_size)[0] for region in regions]
    return landmarker.predict_crops(np.stack(crops)).points


@pytest.fixture(scope="module")
def forms(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Deviation]]:
    folder = tmp_path_factory.mktemp("forms")
    wanted = {
        "opset17": Form(opset=17),
        "opset21": Form(opset=21),
        "float16": Form("float16"),
        "int8": Form("int8", calibration=faces),
    }
    return {
        name: (folder / f"{name}.onnx", export_model("tiny", folder / f"{name}.onnx", form=form))
        for name, form in wanted.items()
    }


@pytest.mark.parametrize("form", ["opset17", "opset21", "float16", "int8"])
def test_a_form_sees_what_the_bundled_network_sees(
    forms: dict[str, tuple[Path, Deviation]], form: str
) -> None:
    path, deviation = forms[form]
    precision = form if form in ("float16", "int8") else "float32"
    allowed = check.limit(precision, 128)
    away = np.linalg.norm(predictions(path) - predictions("tiny-float32"), axis=-1)
    # Twice the limit: other crops than those on which the file was compared.
    assert away.mean() <= 2 * allowed.mean
    assert deviation.mean <= allowed.mean
    said = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert said["precision"] == precision
    assert (said["name"], said["method"]) == ("tiny-float32", "dark")
    assert float(said["deviation_worst_px"]) == pytest.approx(deviation.worst, abs=1e-4)  # four digits


def test_operator_sets_are_those_asked_for(forms: dict[str, tuple[Path, Deviation]]) -> None:
    versions = {name: onnx.load(path).opset_import[0].version for name, (path, _) in forms.items()}
    assert versions == {"opset17": 17, "opset21": 21, "float16": 18, "int8": 18}


def test_eight_bits_are_the_smallest_and_their_ends_stay_float(
    forms: dict[str, tuple[Path, Deviation]],
) -> None:
    bundled = model_path("tiny-float32").stat().st_size
    assert forms["int8"][0].stat().st_size < 0.6 * bundled
    assert forms["float16"][0].stat().st_size < 1.02 * bundled
    graph = onnx.load(forms["int8"][0]).graph
    makers = {name: node for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    inner = [node for node in convolutions if makers[node.input[0]].op_type == "DequantizeLinear"]
    assert makers["logits"].op_type == "Conv"
    # The last sees 8 bits and computes in float32; the first sees what is normalised.
    quantised = [node for node in inner if makers[node.input[1]].op_type == "DequantizeLinear"]
    assert len(quantised) == len(convolutions) - 2
    assert makers["logits"] not in quantised
    assert makers["points"].op_type == "Sub"


def test_packing_loses_half_a_step_and_unpacking_nothing() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 1, (8, 4, 3, 3)).astype(np.float32)
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], name="conv")
    graph = onnx.helper.make_graph([node], "graph", [], [], [onnx.numpy_helper.from_array(weight, "w")])
    pack_weights(graph)
    assert {part.name for part in graph.initializer} == {"w.short", "w.step"}
    unpack_weights(graph)
    assert [part.name for part in graph.initializer] == ["w"]
    assert [node.name for node in graph.node] == ["conv"]
    back = onnx.numpy_helper.to_array(graph.initializer[0])
    step = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 32767
    # Half a step; float32 has 9 bits more than the 15 that are kept, and rounds twice.
    assert (np.abs(back - weight) <= 0.51 * step).all()


def test_a_form_that_lies_too_far_is_refused_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "TOLERANCE_PX", -1.0)
    with pytest.raises(
        ExportError, match=r"out\.onnx: points differ from those of tiny by .* allowed are -1"
    ):
        export_model("tiny", tmp_path / "out.onnx", form=Form())
    assert not (tmp_path / "out.onnx").exists()


def test_what_cannot_be_had_is_said(
    forms: dict[str, tuple[Path, Deviation]], faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.onnx"
    with pytest.raises(ConfigError, match="int8 needs a folder of training images"):
        Form("int8")
    with pytest.raises(ConfigError, match="unknown precision 'int4'; choose one of: float32"):
        Form("int4")
    with pytest.raises(ConfigError, match="unknown opset 12"):
        Form(opset=12)
    with pytest.raises(ConfigError, match="is int8 already"):
        export_model(forms["int8"][0], out, form=Form())
    with pytest.raises(ConfigError, match=r"another decoder, such as 'fhr', needs .* \.safetensors"):
        export_model("tiny", out, method="fhr", form=Form())
    with pytest.raises(ConfigError, match="unknown decoder 'bogus'; choose one of: argmax, quarter, fhr"):
        export_model(CHECKPOINTS / "nano.safetensors", out, method="bogus", form=Form())
    for model in ("finder", CHECKPOINTS / "finder.safetensors"):
        with pytest.raises(ConfigError, match=f"^{model} is a face finder, which has its own decoder; 'fhr'"):
            export_model(model, out, method="fhr", form=Form())
    with pytest.raises(ConfigError, match="a finder stays in float32"):
        export_model("finder", out, form=Form("int8", calibration=faces))
    with pytest.raises(ExportError, match="opset 17"):
        export_model("finder", out, form=Form(opset=17))
    with pytest.raises(DataError, match="cannot be written"):
        export_model("tiny", tmp_path / "missing" / "out.onnx", form=Form())
    assert not out.exists()


def test_the_command_says_how_far_the_file_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.onnx"
    with pytest.raises(SystemExit) as left:
        main(["export", "tiny", "--out", str(out), "--name", "mine", "--opset", "19"])
    assert left.value.code == 0
    assert "mine.onnx: float32, 7.1 MB, points within 0.0" in capsys.readouterr().out
    assert Landmarker(out, device="cpu").name == "mine"


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^identity: neither a landmark network nor a finder exported"):
        export_model("identity", tmp_path / "i.onnx", form=Form())
    assert not list(tmp_path.iterdir())
