"""A finder's maps drawn by hand: what a network that knows all faces would give."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from steadyface import heatmap
from steadyface.nets import FinderConfig, FinderNet
from steadyface.nets.graph import FinderGraph

CELL = 8  # px
LEAST = 1e-6  # how close a drawn probability comes to 0 and 1, so that its logit is finite


def draw(
    boxes: Sequence[Sequence[float]],
    cells: tuple[int, int],
    scores: Sequence[float] | None = None,
    sigma: float = 1.0,
) -> Tensor:
    """The maps (1, 5, rows, columns) of faces in a frame of 8 px per cell, written out face by face."""
    rows, columns = cells
    heat, others = torch.zeros(cells), torch.zeros(4, rows, columns)
    for box, score in zip(boxes, scores or [1.0] * len(boxes), strict=True):
        sizes, centres, offsets = [], [], []
        for low, high, length in ((box[0], box[2], columns * CELL), (box[1], box[3], rows * CELL)):
            seen = (max(low, -0.5) + min(high, length - 0.5)) / 2
            centres.append((seen + 0.5) / CELL - 0.5)
            sizes.append(math.log((high - low) / CELL))
            offsets.append(((low + high) / 2 - seen) / (high - low))
        gaussian = score * heatmap.encode(torch.tensor(centres), cells, sigma)
        mine = gaussian > heat
        heat = torch.where(mine, gaussian, heat)
        others = torch.where(mine, torch.tensor([*sizes, *offsets])[:, None, None], others)
    return torch.cat([torch.logit(heat, LEAST)[None], others])[None]


class Drawn(FinderNet):
    """Gives the same maps whatever it sees."""

    def __init__(self, maps: Tensor, sigma: float = 1.0) -> None:
        nn.Module.__init__(self)
        self.config, self.maps = FinderConfig(sigma=sigma), maps

    def forward(self, images: Tensor) -> Tensor:
        return self.maps


def read(maps: Tensor, threshold: float = 0.5, sigma: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores that the graph reads from maps."""
    frame = torch.zeros(maps.shape[2] * CELL, maps.shape[3] * CELL, 3, dtype=torch.uint8)
    boxes, scores = FinderGraph(Drawn(maps, sigma))(frame, torch.tensor(threshold))
    return boxes.numpy(), scores.numpy()


@st.composite
def cut_faces(draw_: st.DrawFn) -> tuple[tuple[int, int], list[float]]:
    """The cells (rows, columns) of a frame, and a face of which at least 1 px can be seen in it."""
    cells = draw_(st.integers(1, 5)) * 4, draw_(st.integers(1, 5)) * 4
    box = np.zeros((2, 2))
    for axis, count in enumerate(reversed(cells)):
        length = draw_(st.floats(6, 400))
        low = draw_(st.floats(0.5 - length, count * CELL - 1.5))
        box[:, axis] = low, low + length
    return cells, box.reshape(4).tolist()
