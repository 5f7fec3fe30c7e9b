"""Landmark networks: each has a `config` that rebuilds it, and gives log-heatmaps by `log_heatmaps`."""

from __future__ import annotations

from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.hourglass import HourglassConfig, HourglassNet

LandmarkConfig = CompactConfig | HourglassConfig
LandmarkNet = CompactNet | HourglassNet


def build_network(config: LandmarkConfig) -> LandmarkNet:
    """The network of a configuration, with fresh weights."""
    return CompactNet(config) if isinstance(config, CompactConfig) else HourglassNet(config)


__all__ = ["LandmarkConfig", "LandmarkNet", "build_network"]
