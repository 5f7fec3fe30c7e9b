"""Peak memory of `steadyface track` on one and on ten minutes of 1080p video.

    python benchmarks/memory.py [MINUTES ...]
    python benchmarks/memory.py --smooth [MINUTES ...]

The bundled portrait is filmed for ten seconds at 1920 × 1080 and 25 frames/s; its packets are repeated to the
wanted length. Each length is tracked by a fresh process, overlay and all; peaks are
read from Linux, since `getrusage` would count the parent's. With --smooth there is no video: a face that
wanders, at 25 frames/s, is smoothed as by `sta-offline`, which keeps its belief about every frame.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import av

from steadyface.demo import portrait
from steadyface.video import VideoWriter

SECONDS, FPS = 10, 25
CODE = """
import sys
from pathlib import Path
from steadyface.clips import track_clip
from steadyface.pipeline import build
summary = track_clip(Path(sys.argv[1]), Path(sys.argv[2]), build())
status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
print(int(status.split()[0]) / 1024, summary, sep="\\t")
"""

SMOOTH = """
import sys
from pathlib import Path
import numpy as np
from steadyface.stabilizer import load_stabilizer
frames, rng = int(sys.argv[1]), np.random.default_rng(0)
way = rng.normal(0, 1, (frames, 1, 2)).cumsum(axis=0)
points = rng.uniform(0, 200, (68, 2)) + way + rng.normal(0, 0.5, (frames, 68, 2))
load_stabilizer("sta").smooth(points, np.arange(frames) / 25, np.full((frames, 68), 0.9))
status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
print(int(status.split()[0]) / 1024)
"""


def smooth(lengths: list[float]) -> None:
    for minutes in lengths:
        command = [sys.executable, "-c", SMOOTH, str(round(minutes * 60 * FPS))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{minutes:g} min of one face, smoothed: peak {float(done.stdout):.0f} MB", flush=True)


def main(lengths: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        take = Path(folder) / "take.mp4"
        scene = replace(portrait(), width=1920, height=1080, zoom=3.5, fps=FPS, seconds=SECONDS)
        with VideoWriter(take, scene.width, scene.height, scene.fps) as writer:
            for frame in scene:
                writer.write(frame.image, frame.seconds)
        for minutes in lengths:
            clip = repeat(take, round(minutes * 60 / SECONDS), Path(folder) / f"{minutes:g}min.mp4")
            command = [sys.executable, "-c", CODE, str(clip), folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peak, summary = done.stdout.strip().split("\t")
            print(f"{minutes:g} min: peak {float(peak):.0f} MB  ({summary})", flush=True)
            clip.unlink()


def repeat(take: Path, times: int, path: Path) -> Path:
    """The take's packets, `times` over, without encoding again."""
    with av.open(str(path), "w") as target:
        stream = None
        for turn in range(times):
            with av.open(str(take)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                shift = round(turn * SECONDS / video.time_base)
                for packet in source.demux(video):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    target.mux(packet)
    return path


if __name__ == "__main__":
    given = [float(argument) for argument in sys.argv[1:] if argument != "--smooth"] or [1.0, 10.0]
    (smooth if "--smooth" in sys.argv else main)(given)
