"""Peak memory of `steadyface track` on one and on ten minutes of video, and whether the table is whole.

    python benchmarks/memory.py [MINUTES ...] [--height PX] [--fps RATE] [--weights NAME]
                                [--stabilizer NAME] [--no-overlay]
    python benchmarks/memory.py --smooth [MINUTES ...]

The bundled portrait is filmed for ten seconds at 16:9, 1080 px high and 25 frames/s if not said otherwise;
its packets are repeated to the wanted length. Each length is tracked by a fresh process; that its table has a
row for each frame, at its time, is checked. Peaks are read from Linux, since `getrusage` would count the
parent's. With --smooth there is no video: the table of a face that wanders, at 25 frames/s, with its measured
motion, is smoothed as by `sta-offline`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import av

from steadyface.demo import portrait
from steadyface.video import VideoWriter

SECONDS, SMOOTHED_FPS = 10, 25
CODE = """
import sys
from pathlib import Path
import numpy as np
from steadyface.clips import track_clip
from steadyface.pipeline import TrackingOptions, build
from steadyface.tracks import Tracks
clip, out, weights, stabilizer, overlay, frames, fps = sys.argv[1:]
pipeline = build(TrackingOptions(weights=weights, stabilizer=stabilizer))
summary = track_clip(Path(clip), Path(out), pipeline, overlay=overlay == "True")
status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
tracks = Tracks.load(summary.files[0])
np.testing.assert_array_equal(tracks.frame, np.arange(int(frames)))
np.testing.assert_allclose(tracks.seconds, np.arange(int(frames)) / float(fps), atol=1e-3)
print(int(status.split()[0]) / 1024, summary, sep="\\t")
"""

SMOOTH = """
import sys
from pathlib import Path
import numpy as np
from steadyface.motion import Displacements
from steadyface.stabilizer import load_stabilizer
from steadyface.tracks import MotionRows, TracksBuilder
frames, rng = int(sys.argv[1]), np.random.default_rng(0)
face, rows, motion = rng.uniform(0, 200, (68, 2)), TracksBuilder(), MotionRows()
error, seen = np.tile(1e-3 * np.eye(2), (68, 1, 1)), np.ones(68, bool)
for t in range(frames):
    step = rng.normal(0, 1, 2)
    face = face + step
    raw = face + rng.normal(0, 0.5, (68, 2))
    rows.add_frame(t, t / 25, (640, 480))
    row = {"points": raw, "raw_points": raw, "scores": np.full(68, 0.9), "box": np.zeros(4)}
    rows.add(frame=t, seconds=t / 25, face=0, **row)
    motion.append(Displacements(step + rng.normal(0, 0.03, (68, 2)), error, seen) if t else None)
rows.finish({}).smoothed(load_stabilizer("sta"), None, motion)
status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
print(int(status.split()[0]) / 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("minutes", type=float, nargs="*", default=[1.0, 10.0])
    parser.add_argument("--smooth", action="store_true")
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--weights", default="compact")
    parser.add_argument("--stabilizer", default="sta")
    parser.add_argument("--no-overlay", dest="overlay", action="store_false")
    options = parser.parse_args()
    (smooth if options.smooth else track)(options)


def smooth(options: argparse.Namespace) -> None:
    for minutes in options.minutes:
        command = [sys.executable, "-c", SMOOTH, str(round(minutes * 60 * SMOOTHED_FPS))]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        print(f"{minutes:g} min of one face, smoothed: peak {float(done.stdout):.0f} MB", flush=True)


def track(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        take = Path(folder) / "take.mp4"
        height = options.height
        width = 2 * round(height * 8 / 9)
        scene = replace(
            portrait(), width=width, height=height, zoom=3.5 * height / 1080, fps=options.fps, seconds=SECONDS
        )
        with VideoWriter(take, width, height, scene.fps) as writer:
            for frame in scene:
                writer.write(frame.image, frame.seconds)
        for minutes in options.minutes:
            times = round(minutes * 60 / SECONDS)
            clip = repeat(take, times, Path(folder) / f"{minutes:g}min.mp4")
            frames = times * SECONDS * options.fps
            given = [options.weights, options.stabilizer, options.overlay, frames, options.fps]
            command = [sys.executable, "-c", CODE, clip, folder, *map(str, given)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
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
    main()
