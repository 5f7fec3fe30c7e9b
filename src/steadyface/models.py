"""Bundled networks: their files, their cards, and sessions of ONNX Runtime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import onnxruntime

from steadyface.arguments import whole
from steadyface.devices import CPU, CUDA, CudaError, wants_cuda
from steadyface.errors import ConfigError, WeightsError

DEFAULT_MODEL = "compact"
FINDER = "finder"
IDENTITY = "identity"
_NOT_LANDMARKS = (FINDER, IDENTITY)

_WEIGHTS = Path(str(files("steadyface") / "weights"))
_CARDS = "cards.json"
_KIND = "steadyface."
_MOST_THREADS = 1_024
_WORTH_SPLITTING = 0.5  # GFLOP: below this, splitting a network among threads costs more than it saves

onnxruntime.disable_telemetry_events()  # for programs that have imported onnxruntime before steadyface

_state = onnxruntime.capi.onnxruntime_pybind11_state
_NOT_A_MODEL = (
    *(_state.InvalidProtobuf, _state.InvalidGraph, _state.InvalidArgument),
    *(_state.NoModel, _state.NotImplemented, _state.Fail),
)
_NOT_STARTED = (RuntimeError, _state.RuntimeException, _state.EPFail)


@dataclass(frozen=True)
class Card:
    """Facts about a bundled network, in `cards.json`; measured and written by `tools/cards.py`.

    Args:
        name: of the file; the suffix of a landmark network's names its precision.
        parameters: number of them.
        licence: of the weights.
    """

    name: str
    parameters: int
    licence: str

    @property
    def megabytes(self) -> float:
        """Size of the file."""
        return model_path(self.name).stat().st_size / 1e6


@dataclass(frozen=True)
class ModelCard(Card):
    """Size, cost and accuracy of a landmark network.

    Args:
        input_size, map_size: sides of crop and heatmaps, px.
        gflop: of one crop through the network; a multiplication and an addition count as two.
        helen_nrmse, helen_failure: on HELEN test, ground-truth boxes × 1.3, default decoder: mean error in %
            of the inter-ocular distance, and % of faces above 8 %.
    """

    input_size: int
    map_size: int
    gflop: float
    helen_nrmse: float
    helen_failure: float


@dataclass(frozen=True)
class FinderCard(Card):
    """Size, cost and accuracy of the face finder.

    Args:
        side: longer side of the frame that it searches, px.
        gflop: of one frame of `side` × `side` px.
        recall, false_per_photo: on the photographs that training holds out: annotated faces found, in %, and
            false boxes, per photograph.
    """

    side: int
    gflop: float
    recall: float
    false_per_photo: float


@dataclass(frozen=True)
class IdentityCard(Card):
    """Size of the network of identities.

    Args:
        side: of its input crops, px.
    """

    side: int


def bundled_models() -> list[str]:
    """Names of the landmark models inside the package: each network in 8 bits and in float32."""
    return sorted(path.stem for path in _WEIGHTS.glob("*.onnx") if path.stem not in _NOT_LANDMARKS)


def model_cards() -> list[ModelCard]:
    """Read the cards of all bundled models, in order of name."""
    cards = _read_cards()
    return [ModelCard(name=name, **cards[name]) for name in bundled_models()]


def finder_card() -> FinderCard:
    """Read the card of the bundled finder."""
    return FinderCard(FINDER, **_read_cards()[FINDER])


def identity_card() -> IdentityCard:
    """Read the card of the bundled network of identities."""
    return IdentityCard(IDENTITY, **_read_cards()[IDENTITY])


def _read_cards() -> dict[str, dict[str, Any]]:
    return json.loads((_WEIGHTS / _CARDS).read_text(encoding="utf-8"))


def model_path(weights: str | Path, precision: str = "int8") -> Path:
    """Path of a bundled model by name (`FINDER` too), or the given path itself.

    Args:
        weights: `compact` stands for `compact-int8` or `compact-float32`, and so on.
        precision: `int8` or `float32`, for a bare name.

    Raises:
        WeightsError: neither a name nor a file.
    """
    landmarks = bundled_models()
    known = [*landmarks, *_NOT_LANDMARKS]
    for name in (str(weights), f"{weights}-{precision}"):
        if name in known:
            return _WEIGHTS / f"{name}.onnx"
    if not (isinstance(weights, str | Path) and Path(weights).is_file()):
        bare = [name.removesuffix("-int8") for name in landmarks if name.endswith("-int8")]
        listed = f"{', '.join(bare)} (each also as -int8 and -float32), {' and '.join(_NOT_LANDMARKS)}"
        raise WeightsError(f"{weights}: neither a file nor a bundled model; bundled are: {listed}")
    return Path(weights)


def open_model(
    weights: str | Path, kind: str, device: str = "auto", threads: int | None = None
) -> tuple[Path, Any, dict[str, str]]:
    """Open a model of this package: its path, an ONNX Runtime session, and its metadata.

    Args:
        weights: a bundled model's name or an exported `.onnx` file. A bare name takes the 8 bits on the CPU
            and float32 on CUDA.
        kind: `landmarks`, `finder` or `identity`.
        device: one of `DEVICES`; `auto` takes CUDA where ONNX Runtime has it and can start it.
        threads: on the CPU; None takes one for a small bundled network, else the default of ONNX Runtime.

    Raises:
        WeightsError: no such file, or not a model of that kind.
        ConfigError: unknown device, or one that is not there; `threads` as of `check_threads`.
    """
    check_threads(threads)
    cuda = wants_cuda(device)
    path = model_path(weights, "float32" if cuda else "int8")
    try:
        session = _open_session(path, cuda, threads or _enough_threads(path))
    except CudaError:
        if device == "cuda":
            raise
        return open_model(weights, kind, "cpu", threads)
    metadata = session.get_modelmeta().custom_metadata_map
    if metadata.get("kind") != _KIND + kind:
        raise WeightsError(f"{weights}: not a {kind} model exported by steadyface")
    return path, session, metadata


def check_threads(threads: int | None) -> None:
    """Check a number of CPU threads; each takes memory, so that very many end the process.

    Raises:
        ConfigError: no whole number from 1 to 1,024.
    """
    if threads is not None and not 1 <= whole("threads", threads) <= _MOST_THREADS:
        raise ConfigError(f"threads must be from 1 to {_MOST_THREADS:,}, got {threads}")


def model_kind(weights: str | Path) -> str | None:
    """Kind of a model: `landmarks` or `finder`, or None for an ONNX file of another origin.

    Raises:
        WeightsError: no such file, or not ONNX.
    """
    session = _open_session(model_path(weights), cuda=False, threads=1)
    kind = session.get_modelmeta().custom_metadata_map.get("kind", "")
    return kind.removeprefix(_KIND) if kind.startswith(_KIND) else None


def _enough_threads(path: Path) -> int | None:
    """One thread for a bundled network that is too small to split, else None."""
    card = _read_cards().get(path.stem, {}) if path.parent == _WEIGHTS else {}
    return 1 if card.get("gflop", _WORTH_SPLITTING) < _WORTH_SPLITTING else None


class _Session(onnxruntime.InferenceSession):
    """Session that pickles as the file and the options that it was opened with."""

    def __init__(self, path: Path, cuda: bool, threads: int | None, **options: Any) -> None:
        super().__init__(str(path), **options)
        self._opened_with = path, cuda, threads

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_session, self._opened_with


def _open_session(path: Path, cuda: bool, threads: int | None) -> _Session:
    """Open a session on one device.

    Where ONNX Runtime cannot start CUDA it goes on without it, and tells Python nothing; we raise an error.

    Raises:
        WeightsError: not a model that can be run.
        CudaError: CUDA is wanted, and cannot be started.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other stages need the cores
    if not cuda:  # weights in memory of the arena: 2 to 4 % less time where other work comes between the runs
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    providers = [*([CUDA] if cuda else []), CPU]
    try:
        session = _Session(
            path, cuda, threads, sess_options=options, providers=providers, enable_fallback=False
        )
    except _NOT_A_MODEL as error:
        raise WeightsError(f"{path}: not an ONNX file that can be run") from error
    except _NOT_STARTED as error:
        if not cuda:
            raise
        raise CudaError(f"ONNX Runtime could not start it ({error})") from error
    if cuda and CUDA not in session.get_providers():
        raise CudaError("ONNX Runtime could not start it and says why above; are CUDA and cuDNN installed?")
    return session
