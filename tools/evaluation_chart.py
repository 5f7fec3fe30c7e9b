"""The chart on top of docs/evaluation.md, from the tables of the same page.

    python tools/evaluation_chart.py        writes docs/evaluation_peers.png

The figures are kept in the picture, so that a test tells when the tables have changed since.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

DOCS = Path(__file__).parents[1] / "docs"
PAGE, CHART = DOCS / "evaluation.md", DOCS / "evaluation_peers.png"
KEY = "Description"
CONTENDERS = {
    "`compact`": "steadyface compact",
    "`tiny`": "steadyface tiny",
    "MediaPipe video ‡": "MediaPipe, video mode",
    "dlib †": "dlib",
}
COLOURS = ("C2", "C0")


def figures(page: str) -> dict[str, list[float]]:
    """Stability at rest and in motion, %, and frames/s at 720p end to end, of each contender."""
    peers = page.partition("\n## Peers\n")[2]
    motion = _rows(peers.partition("Exactly known motion")[2])
    speed = _rows(peers.partition("1 face, 720p:")[2])
    return {
        name: [float(motion[row][2]), float(motion[row][4]), float(speed[row][2])]
        for row, name in CONTENDERS.items()
    }


def _rows(text: str) -> dict[str, list[str]]:
    """Cells of the first table after a place, by the first of each row."""
    table = text.split("\n\n| |", 1)[1].partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {name: cells for name, *cells in rows}


def main() -> None:
    values = figures(PAGE.read_text(encoding="utf-8"))
    plt.rcParams |= {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 2.9), width_ratios=(3, 2), layout="constrained")
    for k, (label, colour) in enumerate(zip(("face rests", "face moves"), COLOURS, strict=True)):
        places = [i + 0.2 * (2 * k - 1) for i in range(len(values))]
        bars = left.barh(places, [each[k] for each in values.values()], 0.4, label=label, color=colour)
        left.bar_label(bars, fmt="%.2f", padding=3)
    left.set_title("stability: wrong motion a frame, % (lower is steadier)", loc="left", fontsize=11)
    left.legend(frameon=False, loc="upper right")
    left.set_yticks(range(len(values)), list(values))
    bars = right.barh(range(len(values)), [each[2] for each in values.values()], 0.6, color="C7")
    right.bar_label(bars, fmt="%.0f", padding=3)
    right.set_title("frames/s at 720p, from the file", loc="left", fontsize=11)
    right.set_yticks([])
    for axes in (left, right):
        axes.invert_yaxis()
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.12)
    figure.savefig(CHART, dpi=110, metadata={KEY: json.dumps(values)})
    print(CHART.name)


if __name__ == "__main__":
    main()
