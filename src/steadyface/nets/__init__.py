"""Networks; each has a `config` that rebuilds it.

Landmark networks give their log-heatmaps by `log_heatmaps`; the finder gives boxes by `graph.FinderGraph`.
"""

from __future__ import annotations

from steadyface.nets.compact import CompactConfig, CompactNet
from steadyface.nets.finder import FinderConfig, FinderNet
from steadyface.nets.hourglass import HourglassConfig, HourglassNet

LandmarkConfig = CompactConfig | HourglassConfig
LandmarkNet = CompactNet | HourglassNet


def build_network(config: LandmarkConfig) -> LandmarkNet:
    """Build the landmark network of a configuration, with fresh weights."""
    return CompactNet(config) if isinstance(config, CompactConfig) else HourglassNet(config)


__all__ = ["FinderConfig", "FinderNet", "LandmarkConfig", "LandmarkNet", "build_network"]
