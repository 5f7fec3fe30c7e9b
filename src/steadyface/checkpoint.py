"""Networks as files: one `.safetensors` that rebuilds its own network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from steadyface.errors import ConfigError, WeightsError
from steadyface.files import reading, write_bytes
from steadyface.nets import FinderConfig, FinderNet, LandmarkConfig, LandmarkNet, build_network
from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.hourglass import HourglassConfig

Config = LandmarkConfig | FinderConfig
Network = LandmarkNet | FinderNet

_PREFIX = "steadyface."
_LARGEST = 4096  # of the numbers of a configuration
_HEAD = "uncertainty."
_CONFIGS: dict[str, type[CompactConfig] | type[HourglassConfig] | type[FinderConfig]] = {
    "compact": CompactConfig,
    "hourglass": HourglassConfig,
    "finder": FinderConfig,
}


def describe(config: Config) -> tuple[str, str]:
    """Describe a network by its kind and its configuration as JSON, for metadata; `build_from` reads them."""
    kind = next(kind for kind, cls in _CONFIGS.items() if isinstance(config, cls))
    return kind, json.dumps(config.as_dict())


def build_from(kind: str, config: str) -> Network:
    """Build the network that `describe` described, with fresh weights.

    Raises:
        ConfigError: unknown kind, or not its configuration.
    """
    if kind not in _CONFIGS:
        raise ConfigError.choice("kind of network", kind, _CONFIGS)
    known = _CONFIGS[kind].from_dict(json.loads(config))
    return FinderNet(known) if isinstance(known, FinderConfig) else build_network(known)


def save_network(net: Network, path: str | Path) -> None:
    """Write a network's configuration and weights (matrices in float16) as one `.safetensors` file.

    Raises:
        DataError: the file cannot be written.
    """
    kind, config = describe(net.config)
    state = {key: value.half() if value.ndim > 1 else value for key, value in net.state_dict().items()}
    metadata = {"kind": _PREFIX + kind, "config": config}
    write_bytes(path, save({key: value.contiguous() for key, value in state.items()}, metadata))


def load_network(path: str | Path) -> Network:
    """Rebuild the network that `save_network` wrote, in evaluation mode.

    Raises:
        WeightsError: not such a file.
    """
    try:
        with reading(path, "a network of steadyface", WeightsError.at):
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            kind, config = metadata.get("kind", "").removeprefix(_PREFIX), metadata.get("config", "{}")
            state = load_file(path)
            _check_size(kind, config, shapes)
            net = build_from(kind, config)
            net.load_state_dict(state)
    except SafetensorError as error:
        raise WeightsError.at(path, str(error)) from error
    return net.eval()


def _check_size(kind: str, config: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a configuration that asks for another network than the file holds, before memory is taken.

    Raises:
        ValueError: the shapes differ, or a number is out of range.
    """
    numbers = [number for value in json.loads(config).values() for number in np.ravel(value).tolist()]
    if not all(isinstance(number, str) or 0 <= number <= _LARGEST for number in numbers):
        raise ValueError(f"its configuration holds a number that is not from 0 to {_LARGEST}: {config:.80}")
    with torch.device("meta"):
        wanted = {key: tuple(value.shape) for key, value in build_from(kind, config).state_dict().items()}
    if wanted != shapes:
        differ = sorted({*wanted.items()} ^ {*shapes.items()})
        raise ValueError(f"its configuration is that of another network: {differ[0]}")


def start_from(net: Network, path: str | Path) -> None:
    """Copy a file's weights into a network of the same widths; input size and number of blocks may differ.

    A compact network with fewer blocks in its encoder than the file's may have other widths too: it takes the
    weights that agree in name and shape, and keeps its own others. A head of visibility and error is left
    out, since it fits only the weights that it was trained with.

    Raises:
        WeightsError: not such a file, or a network of other widths.
    """
    source = load_network(path)
    state = {key: value for key, value in source.state_dict().items() if not key.startswith(_HEAD)}
    own = net.state_dict()
    if _is_cut(net, source):
        shared = {key: value for key, value in state.items() if key in own and value.shape == own[key].shape}
        net.load_state_dict({**own, **shared})
        return
    try:
        kept = net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{path}: {error}") from error
    missing = [key for key in kept.missing_keys if "refine" not in key and not key.startswith(_HEAD)]
    other = [*kept.unexpected_keys, *missing]
    if other:
        raise WeightsError(f"{path}: not the weights of such a network: {other[0]}")


def _is_cut(net: Network, source: Network) -> bool:
    """Whether a network's encoder is the source's with fewer blocks."""
    if not (isinstance(net, CompactNet) and isinstance(source, CompactNet)):
        return False
    few, many = net.config.repeats, source.config.repeats
    return few != many and all(a <= b for a, b in zip_longest(few, many, fillvalue=0))
