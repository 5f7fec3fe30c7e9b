"""Whatever a file of our own kinds holds, its loader gives what it promises, or one line.

The mutations are seeded. With STEADYFACE_LONG=10 in the environment there are ten times as many.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save

from steadyface.checkpoint import load_network, save_network
from steadyface.corpus.manifest import Entry, Manifest
from steadyface.detector import choose_detector
from steadyface.errors import SteadyfaceError
from steadyface.files import read_arrays
from steadyface.fitting.fit import Pair
from steadyface.fitting.sequences import load_pair, save_pair
from steadyface.landmarker import Landmarker
from steadyface.models import model_path
from steadyface.nets import build_network
from steadyface.nets.compact import CompactConfig
from steadyface.pts import read_pts, write_pts
from steadyface.stabilizer import load_stabilizer, save_stabilizer
from steadyface.stabilizer.base import Stabilizer
from steadyface.tracks import COLUMNS, Tracks, TracksBuilder

LONG = int(os.environ.get("STEADYFACE_LONG", "1"))


@dataclass(frozen=True)
class Kind:
    """A kind of file: how a good one is written, how it is read, and how often it is spoilt."""

    suffix: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    rounds: int = 40


def a_table(path: Path) -> None:
    rng = np.random.default_rng(0)
    builder = TracksBuilder()
    for frame in range(3):
        builder.add_frame(frame, frame / 25, (640, 480))
        points = rng.random((68, 2)) * 100
        builder.add(
            frame=frame,
            seconds=frame / 25,
            face=0,
            points=points,
            raw_points=points,
            scores=rng.random(68),
            box=rng.random(4),
        )
    builder.finish({"version": "0", "size": [640, 480], "frames": 3}).save(path)


def a_table_again(path: Path) -> Tracks:
    tracks = Tracks.load(path)
    for name, (dtype, shape) in COLUMNS.items():
        assert getattr(tracks, name).shape == (len(tracks), *shape)
        assert getattr(tracks, name).dtype == dtype
    return tracks


def a_stabilizer(path: Path) -> Stabilizer:
    stabilizer = load_stabilizer(path)
    assert np.isfinite(stabilizer.run(np.random.default_rng(0).random((4, 68, 2)))).all()
    return stabilizer


def a_network(path: Path) -> None:
    config = CompactConfig(input_size=64, widths=(16, 16, 16, 16), blocks=(0, 1, 0, 1))
    save_network(build_network(config), path)


def a_pair(path: Path) -> None:
    points = np.random.default_rng(0).random((10, 68, 2))
    save_pair(Pair(points, points, None, 30.0), path)


def a_manifest(path: Path) -> None:
    path.write_text(Entry("/a.mp4", "a.parquet", "done").as_json() + "\n")


def read_manifest(path: Path) -> object:
    path.rename(path.parent / "manifest.jsonl")
    return Manifest(path.parent)


def copy_of(name: str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(model_path(name).read_bytes())


KINDS = {
    "npz": Kind(".npz", a_table, a_table_again),
    "csv": Kind(".csv", a_table, a_table_again),
    "json": Kind(".json", a_table, a_table_again),
    "parquet": Kind(".parquet", a_table, a_table_again),
    "stabilizer": Kind(
        ".json", lambda path: save_stabilizer(load_stabilizer("one-euro"), path), a_stabilizer
    ),
    "sta": Kind(".json", lambda path: save_stabilizer(load_stabilizer("sta"), path), a_stabilizer, 8),
    "safetensors": Kind(".safetensors", a_network, load_network, 12),
    "onnx": Kind(".onnx", copy_of("tiny-int8"), Landmarker, 6),
    "finder": Kind(".onnx", copy_of("finder"), choose_detector, 6),
    "sequence": Kind(".npz", a_pair, load_pair),
    "pts": Kind(".pts", lambda path: write_pts(path, np.random.default_rng(0).random((68, 2))), read_pts),
    "manifest": Kind(".jsonl", a_manifest, read_manifest),
}


def spoil(data: bytes, rng: random.Random) -> bytes:
    """Change a file as broken disks and hostile people do."""
    place, length = rng.randrange(len(data)), rng.choice([1, 2, 8, 100])
    noise = rng.choice([bytes(length), b"\xff" * length, rng.randbytes(length), b"9" * length])
    number = rng.choice([b"NaN", b"Infinity", b"1e999", b"-1", b"9" * 400, b'"x"', b"[]", b"{}", b"null"])
    digits = [i for i, byte in enumerate(data[:5000]) if chr(byte).isdigit()] or [place]
    digit = rng.choice(digits)
    return rng.choice(
        [
            data[:place],
            data[place:],
            data[:place] + noise + data[place + length :],
            data[:place] + noise + data[place:],
            data[:place] + data[place + length :],
            data[:digit] + number + data[digit + 1 :],
            data[: place + length] + data[place:],
            rng.randbytes(length),
        ]
    )


def check(read: Callable[[Path], object], path: Path) -> str | None:
    """Read a file; the error's line, if there is one."""
    line = None
    try:
        read(path)
    except SteadyfaceError as error:
        line = str(error)
    assert line is None or ("\n" not in line and len(line) < 2000)
    return line


@pytest.mark.parametrize("name", KINDS)
def test_a_spoilt_file_is_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    kind, rng, refused = KINDS[name], random.Random(name), 0
    kind.write(good := tmp_path / f"good{kind.suffix}")
    data = good.read_bytes()
    assert check(kind.read, good) is None
    for number in range(kind.rounds * LONG):
        path = tmp_path / f"{number}" / f"file{kind.suffix}"
        path.parent.mkdir()
        path.write_bytes(spoil(data, rng))
        refused += check(kind.read, path) is not None
    assert refused


@pytest.mark.parametrize("name", KINDS)
def test_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    for number, data in enumerate((b"", b"\0" * 1000, b"{}", b"[1]", b"\x89PNG\r\n\x1a\n", pickle.dumps({}))):
        path = tmp_path / f"{number}" / f"file{kind.suffix}"
        path.parent.mkdir()
        path.write_bytes(data)
        assert check(kind.read, path) or (name, data) == ("manifest", b"")


# ---------------------------------------------------------------------------------------- made on purpose


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("harm.done"),)


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def npy(array: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def refused(read: Callable[[Path], object], path: Path) -> str:
    line = check(read, path)
    assert line is not None
    return line


@pytest.mark.parametrize("name", ["npz", "sequence"])
def test_no_pickle_is_opened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.npz"
    path.write_bytes(zipped("frame.npy", npy(np.array([Harm()], object), allow_pickle=True)))
    refused(KINDS[name].read, path)
    assert not Path("harm.done").exists()


def test_an_archive_that_unpacks_to_far_more_is_told_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    path.write_bytes(zipped("points.npy", npy(np.zeros(20_000_000))))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(SteadyfaceError, match="unpacks to 160 MB"):
        read_arrays(path, "a table")


TABLE: dict[str, Any] = {
    "kind": "one-euro", "version": 2, "fps": 30.0, "fitted": "", "min_cutoff": 1.0, "beta": 1.0,
    "derivate_cutoff": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"fps": float("nan")},
        {"fps": float("inf")},
        {"fps": -1},
        {"fps": "30"},
        {"fps": [30.0]},
        {"fitted": 3},
        {"beta": float("nan")},
        {"beta": 1e300},
        {"beta": [1.0, 2.0]},
        {"beta": None},
        {"kind": ["sta"]},
        {"kind": "moving-average", "frames": 10**9},
        {"more": 1},
        {"version": [2]},
    ],
    ids=str,
)
def test_a_stabilizer_of_wild_numbers_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "wild.json"
    path.write_text(json.dumps({**TABLE, **changes}))
    refused(load_stabilizer, path)


@pytest.mark.parametrize("name", ["sta", "sta-paper"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, -1e300, 1e-300, [1.0], "x", None])
def test_each_parameter_of_sta_is_checked(name: str, value: object, tmp_path: Path) -> None:
    good = load_stabilizer(name).as_dict() | {"version": 2}
    path = tmp_path / "wild.json"
    for key, before in good.items():
        if isinstance(before, list):
            wild = json.loads(json.dumps(before))
            row = wild[0] if isinstance(wild[0], list) else wild
            row[0] = value
            path.write_text(json.dumps({**good, key: wild}))
            check(a_stabilizer, path)


def test_a_stabilizer_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.write(b'{"kind": "one-euro", "beta": [')
        file.truncate(1 << 30)  # a hole, which takes no room
    assert "1074 MB" in refused(load_stabilizer, path)


@pytest.mark.parametrize(
    "config",
    [
        {"widths": [10**6] * 4},
        {"blocks": [10**9, 0, 0, 0]},
        {"widths": [-1, 16, 16, 16]},
        {"widths": ["a"] * 4},
        {"widths": [16]},
        {"input_size": 32 * 10**9},
        {"input_size": "64"},
        {"landmarks": 10**7},
        {"sigma": float("nan")},
        [1, 2],
    ],
    ids=str,
)
def test_a_network_of_wild_size_is_refused_before_it_is_built(config: object, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    metadata = {"kind": "steadyface.compact", "config": json.dumps(config)}
    path.write_bytes(save({"x": torch.zeros(1)}, metadata))
    refused(load_network, path)


def onnx_model(node: onnx.NodeProto, initializer: list[onnx.TensorProto]) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "g", [value], [result], initializer)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_model_with_external_data_or_operators_of_its_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(4))
    folder = tmp_path / "deep"
    folder.mkdir()
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="../secret")
    models = {
        "external": onnx_model(helper.make_node("Add", ["x", "w"], ["y"]), [outside]),
        "custom": onnx_model(helper.make_node("Harm", ["x"], ["y"], domain="own"), []),
    }
    for name, model in models.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        for read in (Landmarker, choose_detector):
            assert str(path) in refused(read, path)
