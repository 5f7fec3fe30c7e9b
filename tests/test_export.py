"""The exported finder: one file that sees what torch sees, in frames of any size, and tells nothing else."""

from __future__ import annotations

import json
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
from steadyface.detector import FaceFinder
from steadyface.export import TOLERANCE_PX, export_onnx
from steadyface.models import FINDER, bundled_models, model_kind, model_path
from steadyface.nets import FinderConfig, FinderNet, finder
from steadyface.nets.graph import FinderGraph

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
    worst: float

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
    return Exported(path, FinderGraph(net).eval(), export_onnx(net, path, name="mine"))


def test_export_compares_with_torch_itself(exported: Exported) -> None:
    assert 0 <= exported.worst <= TOLERANCE_PX


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
    config = said.pop("config")
    assert said == {"kind": "steadyface.finder", "name": "mine", "network": "finder"}
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
