"""Networks as files: one `.safetensors` that rebuilds its own network."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from steadyface.errors import ConfigError, WeightsError
from steadyface.files import reading, write_bytes
from steadyface.nets import FinderConfig, FinderNet, LandmarkConfig, LandmarkNet, build_network
from steadyface.nets.compact import CompactConfig
from steadyface.nets.hourglass import HourglassConfig

Config = LandmarkConfig | FinderConfig
Network = LandmarkNet | FinderNet

_PREFIX = "steadyface."
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
            net = build_from(metadata.get("kind", "").removeprefix(_PREFIX), metadata.get("config", "{}"))
            net.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise WeightsError.at(path, str(error)) from error
    return net.eval()


def start_from(net: Network, path: str | Path) -> None:
    """Copy a file's weights into a network of the same widths; input size and number of blocks may differ.

    Raises:
        WeightsError: not such a file, or a network of other widths.
    """
    try:
        kept = net.load_state_dict(load_network(path).state_dict(), strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{path}: {error}") from error
    other = [*kept.unexpected_keys, *(key for key in kept.missing_keys if "refine" not in key)]
    if other:
        raise WeightsError(f"{path}: not the weights of such a network: {other[0]}")
