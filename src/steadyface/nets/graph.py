"""From crops to points in one module: what is exported, and what training is validated by."""

from __future__ import annotations

from jaxtyping import UInt8
from torch import Tensor, nn

from steadyface import heatmap
from steadyface.geometry import change_grid
from steadyface.nets import LandmarkNet


class LandmarkGraph(nn.Module):
    """A landmark network and the decoder of its heatmaps.

    Input `crops`: (B, S, S, 3) RGB uint8. Outputs: `points` (B, 68, 2) crop px, `scores` (B, 68),
    `covariances` (B, 68, 2, 2) crop px², and `logits` (B, 68, h, w), the log-heatmaps, for other decoders.
    """

    def __init__(self, net: LandmarkNet, method: str = heatmap.DEFAULT_METHOD) -> None:
        super().__init__()
        self.net, self.method = net, method

    def forward(self, crops: UInt8[Tensor, "batch size size 3"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits = self.net.log_heatmaps(crops.permute(0, 3, 1, 2).float())
        read = heatmap.decode_logits(logits, sigma=self.net.config.sigma, method=self.method)
        scale = self.net.config.input_size / self.net.config.map_size
        return change_grid(read.points, scale), read.scores, read.covariances * scale**2, logits
