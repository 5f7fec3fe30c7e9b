"""Other landmark trackers beside steadyface: accuracy, steadiness, speed, all in one run.

    make bench-peers DATA=../shared/data
    python benchmarks/peers.py DATA [--mediapipe PYTHON] [--parts PART ...] [--stills N] [--rounds N]

DATA holds 300w, talking_face and videos; PYTHON is that of an environment with MediaPipe; PART is one of
`PARTS`, by default all but `mapping`. Each contender runs in a process of its own, with the settings that
its makers chose, on two cores (benchmarks/peers/worker.py).

- steadyface: the whole tracker, its own face finder, the default stabiliser unless `raw` is said, the network
  when a face asks for it unless `every frame` is.
- dlib: its 68 points († trained on the test images too) in the boxes of its HOG detector or, `following`, in
  the box of its last points, with the detector for the first frame only.
- MediaPipe FaceMesh 0.10.21, whose wheel brings its weights: `video` follows the face, `still` looks for it
  in every frame; `refined` has a second network for eyes and lips. ‡ Its mesh is another markup: 51 of the
  points (no jaw) are the vertices that lie closest to them on training faces. What such a mapping is always
  off by, the columns `without offsets` take from everybody.

Left out, for they bring no weights: MediaPipe's Tasks, which want a `.task` file (the wheels of 0.10.21 and
1.2.2 hold none), and packages that download theirs when they are first used.

Which part says what:

- `helen`: HELEN test, NRMSE in % of the inter-ocular distance over the faces found, on all 68 points, on the
  51 that all have, and on the 7 of `markup.SEVEN`; `common`: the 51 on the faces that everybody found; `over
  8 %`: share of faces of a larger error on the 51, a missing one counted.
- `talking-face`: as of `steadyface evaluate talking-face`, 7 points.
- `known-motion`: `--stills` scenes as of `steadyface evaluate known-motion`, 51 points. Each contender finds
  the face itself; a photograph with another one that any of them takes first is passed over for the next.
  NRMSE is to the truth plus each point's constant error in the clip.
- `speed`: frames per second of one clip of a face, resized, from the second frame on: of frames decoded
  beforehand, one after another; and end to end, from the file. There steadyface works as in
  `steadyface.track`, reading and the network in threads of their own; the others have no reader, and are
  given a PyAV loop that decodes with two threads.
  Median of `--rounds` rounds, each of which runs all of them; the ratio is the median of the rounds' ratios
  to MediaPipe's video mode.
- `mapping`: the vertices to choose, from every other face of the training sets of LFPW and HELEN.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from steadyface import markup, metrics
from steadyface.arrays import Frame
from steadyface.datasets.annotated_videos import talking_face
from steadyface.datasets.three_hundred_w import Sample, find_samples
from steadyface.errors import DataError
from steadyface.evaluation.known_motion import RESTING_SPEED
from steadyface.fitting.sequences import with_constant_bias
from steadyface.geometry import bounding_box, iou
from steadyface.markup import FLIP, OUTER_EYE_CORNERS, SEVEN, SEVEN_TALKING_FACE
from steadyface.synthetic.talking_still import TalkingStill
from steadyface.video import VideoFrame, VideoReader, VideoWriter, open_frames

INNER = np.arange(markup.GROUPS["jaw"].stop, markup.COUNT)  # all but the jaw
LEAST_OVERLAP = 0.3  # of the boxes of a found face and the annotated one
STILL_FACES = 4  # that may be found in a photograph
CLIP, CLIP_FRAMES, SCENES = "s18.mp4", 120, ((360, 1), (720, 1), (1080, 1), (2160, 1), (720, 4))

OURS = ("steadyface compact", "steadyface tiny", "steadyface nano")
IN_BOX = (*OURS, "dlib")
STILLS = (*OURS, "dlib", "MediaPipe still", "MediaPipe still, refined")
REFERENCE = "MediaPipe video"
TRACKERS = (
    *("steadyface compact", "steadyface compact, raw"),
    *("steadyface tiny", "steadyface tiny, every frame", "steadyface nano"),
    *("dlib", "dlib, following"),
    *(REFERENCE, "MediaPipe video, refined", "MediaPipe still", "MediaPipe still, refined"),
)
MARKS = {"dlib": "†", "MediaPipe": "‡"}
NOTES = "† trained on 300-W's test images too   ‡ another markup, mapped"


class Contender:
    """The near end of a worker's socket. `send` and `receive` are apart, so that several can work at once."""

    def __init__(self, python: str, name: str, faces: int) -> None:
        near, far = socket.socketpair()
        worker = Path(__file__).with_name("peers") / "worker.py"
        command = [python, worker, str(far.fileno()), name, str(faces)]
        self._process = subprocess.Popen(command, pass_fds=[far.fileno()])
        far.close()
        self._link, self._name = Connection(near.detach()), name

    def send(self, frame: Frame, where: float | list[float], order: str = "frame") -> None:
        """A frame, and its time or, with the order `box`, the box to look in."""
        with self._exchange():
            self._link.send((order, frame.shape, where))
            self._link.send_bytes(np.ascontiguousarray(frame).data.cast("B"))

    def receive(self) -> np.ndarray:
        """(N, 68, 2) px, N may be 0."""
        with self._exchange():
            found = self._link.recv()
        return np.array(found) if found else np.zeros((0, markup.COUNT, 2))

    def start(self) -> None:
        with self._exchange():
            self._link.send(("start",))
            self._link.recv()

    def time_clip(self, path: Path, decoded: bool) -> float:
        """Frames per second."""
        with self._exchange():
            self._link.send(("time", str(path), decoded))
            return float(self._link.recv())

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """End the run with one line if the worker has ended."""
        try:
            yield
        except (EOFError, ConnectionError):
            sys.exit(f"{self._name}: its process has ended; `make bench-peers` makes the environments")

    def close(self) -> None:
        self._link.close()
        self._process.terminate()
        self._process.wait()


Running = dict[str, Contender]
Start = Callable[[Iterable[str], int], Running]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--mediapipe", default=sys.executable, metavar="PYTHON")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=[part for part in PARTS if part != "mapping"]
    )
    parser.add_argument("--stills", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for part in options.parts:
        PARTS[part](options)
    print(f"\n{NOTES}")


@contextmanager
def started(names: Iterable[str], faces: int, mediapipe: str) -> Iterator[Running]:
    """The contenders, each in its environment; they end with the block."""
    with ExitStack() as stack:
        running = {}
        for name in names:
            python = mediapipe if name.startswith("MediaPipe") else sys.executable
            running[name] = Contender(python, name, faces)
            stack.callback(running[name].close)
        yield running


# HELEN test


def helen(options: argparse.Namespace) -> None:
    samples = find_samples(options.data / "300w", ["helen-test"])
    points: dict[str, list[np.ndarray]] = {}
    truths = []
    with started(STILLS, STILL_FACES, options.mediapipe) as running:
        for sample in samples:
            image, truth = sample.load()
            truths.append(truth)
            for name, contender in running.items():
                points.setdefault(f"{name}", []).append(in_photograph(contender, image, truth))
            for name in IN_BOX:
                running[name].send(image, bounding_box(truth).tolist(), "box")
                points.setdefault(f"{name}, true box", []).append(running[name].receive()[0])
    print_helen({name: np.stack(found) for name, found in points.items()}, np.stack(truths))


def in_photograph(contender: Contender, image: Frame, truth: np.ndarray) -> np.ndarray:
    """The points of the annotated face, NaN where it was not found."""
    contender.start()
    contender.send(image, 0.0)
    return nearest(contender.receive(), truth)


def nearest(faces: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Of the faces found the annotated one, NaN if it is not among them.

    Args:
        faces: (N, 68, 2) px, the jaw may be NaN.
        truth: (68, 2) px.
    """
    boxes = np.array([bounding_box(face) for face in faces[:, INNER]]).reshape(-1, 4)
    shares = iou(boxes, bounding_box(truth[INNER])[None])[:, 0]
    return faces[shares.argmax()] if shares.max(initial=0) >= LEAST_OVERLAP else np.full_like(truth, np.nan)


def print_helen(points: dict[str, np.ndarray], truth: np.ndarray) -> None:
    heads = f"{'found':>6} {'68':>7} {'51':>7} {'common':>7} {'7':>7} {'without offsets':>16} {'over 8 %':>9}"
    print_title(f"HELEN test, {len(truth)} faces, % of inter-ocular distance", heads)
    missing = [np.isnan(found[:, INNER]).any(axis=(1, 2)) for found in points.values()]
    common = ~np.any(missing, axis=0)
    for name, found in points.items():
        inner = errors(found, truth, INNER)
        seen = ~np.isnan(inner)
        means = [errors(found, truth, part)[seen].mean() for part in (slice(None), INNER, SEVEN)]
        varying = metrics.nrmse_without_offsets(
            found[seen][:, INNER], truth[seen][:, INNER], eye_lines(truth[seen])
        )
        failed = metrics.failure_rate(np.where(seen, inner, np.inf))
        numbers = [*means[:2], inner[common].mean(), means[2]]
        columns = " ".join(cell(number, 7) for number in numbers)
        print_row(name, f"{seen.sum():6d} {columns} {varying:16.3f} {failed:9.2f}")


def errors(points: np.ndarray, truth: np.ndarray, chosen: np.ndarray | slice) -> np.ndarray:
    """NRMSE of each face over some of its points, in % of its true inter-ocular distance."""
    distance = np.linalg.norm(points[:, chosen] - truth[:, chosen], axis=-1).mean(axis=-1)
    return 100 * distance / metrics.interocular(truth)


def eye_lines(truth: np.ndarray) -> np.ndarray:
    """(faces, 2) from the right to the left outer eye corner."""
    right, left = OUTER_EYE_CORNERS
    return truth[:, left] - truth[:, right]


# Video of known truth


def follow(running: Running, frames: Iterable[VideoFrame]) -> dict[str, np.ndarray]:
    """Track a sequence by each contender: (frames, 68, 2) px, NaN where it has no face."""
    points: dict[str, list[np.ndarray]] = {name: [] for name in running}
    for contender in running.values():
        contender.start()
    for frame in frames:
        for contender in running.values():
            contender.send(frame.image, frame.seconds)
        for name, contender in running.items():
            faces = contender.receive()
            points[name].append(faces[0] if len(faces) else np.full((markup.COUNT, 2), np.nan))
    return {name: np.stack(found) for name, found in points.items()}


def talking(options: argparse.Namespace) -> None:
    video = talking_face(options.data / "talking_face")
    truth = np.stack(list(video.points().values()))[:, SEVEN_TALKING_FACE]
    with started(TRACKERS, 1, options.mediapipe) as running, open_frames(video.source) as frames:
        points = follow(running, frames)
    heads = f"{'found':>6} {'NRMSE':>7} {'without offsets':>16} {'stability':>10} {'ratio':>6} {'delay':>7}"
    print_title(f"Talking Face, {len(truth)} frames, 7 points", heads)
    eyes = truth[:, 3] - truth[:, 0]
    size = np.linalg.norm(eyes, axis=-1)
    steady = {name: metrics.stability(found[:, SEVEN], truth, size) for name, found in points.items()}
    for name, found in points.items():
        seven = found[:, SEVEN]
        distance = np.linalg.norm(seven - truth, axis=-1) / size[:, None]
        left = f"{np.isfinite(distance).all(axis=1).sum():6d} {100 * np.nanmean(distance):7.3f}"
        ratio = f"{steady[name]:10.3f} {steady[name] / steady[REFERENCE]:6.2f}"
        varying, late = metrics.nrmse_without_offsets(seven, truth, eyes), metrics.delay(seven, truth, size)
        print_row(name, f"{left} {varying:16.3f} {ratio} {late:7.3f}")


def known_motion(options: argparse.Namespace) -> None:
    samples = find_samples(options.data / "300w", ["helen-test"])
    figures: dict[str, list[np.ndarray]] = {}
    with started(TRACKERS, 1, options.mediapipe) as running:
        for first in range(0, options.stills * (step := len(samples) // options.stills), step):
            scene = scene_of_one(running, samples[first : first + step], seed=1000 + first // step)
            truth = np.stack([scene.truth(index / scene.fps) for index in range(len(scene))])
            for name, found in follow(running, scene).items():
                own = np.stack([nearest(*pair) for pair in zip(found[:, None], truth, strict=True)])
                figures.setdefault(name, []).append(motion_figures(own, truth))
    heads = f"{'found, %':>8} {'NRMSE':>7} {'still':>7} {'ratio':>6} {'moving':>7} {'ratio':>6} {'delay':>7}"
    print_title(f"known motion, {options.stills} faces, 1080p, 51 points", heads)
    table = {name: np.nanmean(rows, axis=0) for name, rows in figures.items()}
    for name, (share, nrmse, still, moving, late) in table.items():
        ratios = [value / of for value, of in zip((still, moving), table[REFERENCE][2:4], strict=True)]
        shakes = f"{still:7.3f} {ratios[0]:6.2f} {moving:7.3f} {ratios[1]:6.2f}"
        print_row(name, f"{100 * share:8.1f} {nrmse:7.3f} {shakes} {late:7.3f}")


def scene_of_one(running: Running, samples: Sequence[Sample], seed: int) -> TalkingStill:
    """The first photograph's in which every contender takes the annotated face."""
    for sample in samples:
        scene = TalkingStill(*sample.load(), seed=seed)
        first, truth = next(iter(scene)).image, scene.truth(0.0)
        if all(np.isfinite(in_photograph(each, first, truth)[INNER]).all() for each in running.values()):
            return scene
    raise DataError(samples[0].points_path, "from here on, no photograph with one face that everybody finds")


def motion_figures(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Share of frames found, NRMSE, stability of still and of moving frames, delay; of one scene."""
    points, exact, eyes = found[:, INNER], truth[:, INNER], np.asarray(metrics.interocular(truth))
    seen = ~np.isnan(points).any(axis=(1, 2))
    if seen.sum() < 2:
        return np.array([seen.mean(), *[np.nan] * 4])
    biased = np.full_like(exact, np.nan)
    whole = np.where(np.isnan(found), truth, found)  # a jaw that is not there has no error
    biased[seen] = with_constant_bias(truth[seen], whole[seen])[:, INNER]
    nrmse = 100 * np.nanmean(np.linalg.norm(points - biased, axis=-1) / eyes[:, None])
    excess = 100 * np.linalg.norm(np.diff(points - exact, axis=0), axis=-1).mean(axis=-1) / eyes[1:]
    speed = 100 * np.linalg.norm(np.diff(truth, axis=0), axis=-1).mean(axis=-1) / eyes[1:]
    known = ~np.isnan(excess)
    steps = [excess[known & which] for which in (speed < RESTING_SPEED, speed >= RESTING_SPEED)]
    shakes = [part.mean() if len(part) else np.nan for part in steps]
    return np.array([seen.mean(), nrmse, *shakes, metrics.delay(points, biased, eyes)])


# Speed


def speed(options: argparse.Namespace) -> None:
    print(f"\n{processor(Path('/proc/cpuinfo').read_text())}")
    for height, faces in SCENES:
        with tempfile.TemporaryDirectory() as folder, started(TRACKERS, faces, options.mediapipe) as running:
            clip = resized(options.data / "videos" / CLIP, height, faces, Path(folder) / "clip.mp4")
            rates = {name: np.zeros((options.rounds, 2)) for name in running}
            for turn in range(options.rounds):
                for name, contender in running.items():
                    rates[name][turn] = [contender.time_clip(clip, decoded) for decoded in (True, False)]
            print_speed(rates, f"{faces} face{'s' * (faces > 1)}, {height}p")


def processor(cpuinfo: str) -> str:
    """Name of the first processor that Linux lists, and its flags for vectors and 8-bit networks."""
    fields = dict(line.split(":", 1) for line in cpuinfo.split("\n\n")[0].splitlines())
    known = {name.strip(): value.strip() for name, value in fields.items()}
    flags = [flag for flag in known.get("flags", "").split() if flag.startswith(("avx", "fma", "amx"))]
    return f"{known.get('model name', 'processor')}: {' '.join(flags) or 'no such flags'}"


def resized(source: Path, height: int, faces: int, path: Path) -> Path:
    """The clip's first frames at another size, whole or in each quarter; fewer of the large ones."""
    with VideoReader(source) as reader:
        width, across = 2 * round(reader.width * height / reader.height / 2), round(faces**0.5)
        with VideoWriter(path, width, height, reader.fps) as writer:
            for frame in islice(reader, CLIP_FRAMES if height <= 1080 else CLIP_FRAMES // 3):
                tile = width // across, height // across
                image = cv2.resize(frame.image, tile, interpolation=cv2.INTER_AREA)
                writer.write(np.tile(image, (across, across, 1)), frame.seconds)
    return path


def print_speed(rates: dict[str, np.ndarray], scene: str) -> None:
    """A row per contender: frames decoded beforehand, then end to end.

    Args:
        rates: (rounds, 2) frames per second.
        scene: what the clip shows.
    """
    heads = f"{'frames/s':>9} {'ratio':>6} {'end to end':>14} {'ratio':>6}"
    rounds = len(rates[REFERENCE])
    print_title(f"speed, {scene}, median of {rounds} rounds", heads)
    for name, rate in rates.items():
        (plain, whole), (first, second) = np.median(rate, axis=0), np.median(rate / rates[REFERENCE], axis=0)
        print_row(name, f"{plain:9.1f} {first:6.2f} {whole:14.1f} {second:6.2f}")


# Which vertex is which point


def mapping(options: argparse.Namespace) -> None:
    samples = find_samples(options.data / "300w", ["lfpw-train", "helen-train"])[::2]
    with started(["MediaPipe mesh"], 1, options.mediapipe) as running:
        pairs = list(meshes(running["MediaPipe mesh"], samples))
    mesh, truth = (np.stack(part) for part in zip(*pairs, strict=True))
    distance = np.stack(
        [np.linalg.norm(mesh - point[:, None], axis=-1).mean(axis=0) for point in truth.swapaxes(0, 1)]
    )
    print(f"\nclosest vertices on {len(mesh)} faces, points {INNER[0]} to {INNER[-1]}:")
    print(symmetric_choice(distance, mesh.mean(axis=0)))


def meshes(contender: Contender, samples: Sequence[Sample]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mesh and annotated points of each face that was found, in the frame of the eyes."""
    for sample in samples:
        image, truth = sample.load()
        contender.send(image, 0.0)
        for mesh in contender.receive():
            right, left = truth[list(OUTER_EYE_CORNERS)]
            middle, eyes = (right + left) / 2, (left - right)[None]
            if iou(bounding_box(mesh)[None], bounding_box(truth)[None])[0, 0] >= LEAST_OVERLAP:
                yield (
                    metrics.in_face(mesh[None] - middle, eyes)[0],
                    metrics.in_face(truth[None] - middle, eyes)[0],
                )


def symmetric_choice(distance: np.ndarray, mesh: np.ndarray) -> list[int]:
    """For each of the 51 points the closest vertex, mirrored points at mirrored vertices.

    Args:
        distance: (68, vertices) mean distance of each point and vertex.
        mesh: (vertices, 2) mean face, mirror-symmetric about x = 0.
    """
    _, mirrored = linear_sum_assignment(np.linalg.norm((mesh * [-1, 1])[:, None] - mesh, axis=-1))
    both = distance + distance[FLIP][:, mirrored]
    both[np.ix_(np.arange(len(FLIP)) == FLIP, mirrored != np.arange(len(mesh)))] = np.inf
    return both[INNER].argmin(axis=1).tolist()


# Printing


def print_title(title: str, heads: str) -> None:
    print(f"\n{title}\n{'':<34} {heads}", flush=True)


def print_row(name: str, columns: str) -> None:
    mark = next((mark for start, mark in MARKS.items() if name.startswith(start)), "")
    print(f"{f'{name} {mark}':<34} {columns}", flush=True)


def cell(value: float, width: int) -> str:
    return f"{'–':>{width}}" if np.isnan(value) else f"{value:{width}.3f}"


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "helen": helen,
    "talking-face": talking,
    "known-motion": known_motion,
    "speed": speed,
    "mapping": mapping,
}

if __name__ == "__main__":
    main()
