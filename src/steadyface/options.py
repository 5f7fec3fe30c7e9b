"""Options of tracking, the same in commands, in Python and in corpora."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TypedDict

from steadyface.arguments import number, positive, shown, whole
from steadyface.camera import check_camera
from steadyface.errors import ConfigError
from steadyface.image_size import MOST_PIXELS
from steadyface.models import DEFAULT_MODEL, check_threads
from steadyface.stabilizer import DEFAULT_STABILIZER
from steadyface.tracking import TrackerConfig
from steadyface.tracking.schedule import AUTO, check_network_every
from steadyface.video import DEFAULT_FPS, SQUARE, check_hwaccel, check_pixels, check_span

_WHOLE = ("lag", "max_faces", "threads", "max_pixels")
_REAL = ("min_face", "min_score", "min_detection", "fps", "start", "end", "focal")
_SWITCHES = ("motion", "independent", "frontal")


@dataclass(frozen=True)
class TrackingOptions:
    """Options of tracking; each is a keyword of `steadyface.track` and a flag of the commands.

    Args:
        stabilizer: sta; sta-offline, which sees the whole future; sta-paper, the paper's form; a usual filter
            (moving-average, first-order, second-order, constant-velocity, one-euro, savitzky-golay); none; or
            a .json file written by `steadyface fit-stabilizer`.
        lag: Number of later frames that each point may depend on, with sta. Left out: none, or all with
            sta-offline.
        motion: Measure in the picture how far the skin has moved, for sta and sta-offline: less jitter and
            less lag, at about a millisecond a face and frame. --no-motion filters the points alone.
        network_every: Frames of a face from one run of the landmark network to the next; measured motion
            carries the points between, for sta and sta-offline. auto runs it in each frame while eyes or
            mouth change, and in every sixth while they rest; 1 in each frame. A larger number saves time,
            but the points follow lids and lips later.
        decoder: Method that reads points from heatmaps: argmax, quarter, fhr, fhr_symmetric, least_squares or
            dark. Left out: the one built into the network.
        max_faces: Most faces at a time, largest first. A larger number follows more people, but takes time
            for each.
        min_face: Larger side of the smallest face to find, px of the frame. A smaller number finds smaller
            faces, but takes longer. Left out: about a twentieth of the frame's longer side.
        min_score: Least score of a new face by the landmark network, 0 to 1. A lower number also takes faces
            that are covered or unclear, and more often things that are no faces. Left out: 0.88; a face that
            is tracked already may score a little less.
        min_detection: Least score of a face by the detector, 0 to 1; same effect. Left out: the detector's
            own.
        detector: An .onnx file that finds the faces: YuNet, or a finder exported by `steadyface export`. Left
            out: the bundled finder.
        weights: Name of a bundled landmark network, or an .onnx file exported by `steadyface export`.
        device: auto, cpu or cuda.
        threads: CPU threads of each network; with 1, frames are not read ahead in a thread either. Left out:
            as many as suit the network; in a corpus, an equal share of the cores.
        hwaccel: Hardware that decodes videos: none; a kind that FFmpeg knows, such as cuda, vaapi, qsv or
            videotoolbox; or auto, the first that works. A video that it cannot decode is left to
            the processor, and a line says so.
        fps: Frame rate of a folder of images.
        independent: Treat each frame as a photograph of its own: no identity is kept from one to the next,
            nothing is stabilised and no lost face is held. Folders of images that differ in size are always
            treated so.
        start: Seconds of each input at which to begin; times stay those of the input.
        end: Seconds of each input at which to stop. Left out: its end; a camera then runs until Ctrl-C.
        pixels: square, the picture as a player shows it; or coded, which keeps oblong pixels as they are.
        people: Folder of photographs by which faces get names: PEOPLE/NAME.jpg, or PEOPLE/NAME/ with several
            of one person. All other faces are `unknown`.
        max_pixels: Pixels of the largest picture that is decoded; a larger one is refused, with its size.
            Increasing it reads larger pictures, but a small file may then take much memory.
        frontal: Also fit a 3-D model of faces: points without the head's pose, a better pose and its error.
        focal: Focal length of the camera, px, for the head's pose. Left out: the picture's longer side.
        camera: A .yml, .xml or .json file with camera_matrix and distortion_coefficients, as OpenCV's
            calibration writes it, in place of the focal length.

    Raises:
        ConfigError: an option is of another kind, `fps`, `focal` or `threads` is not positive, a score is not
            between 0 and 1, `end` is not after `start`, `focal` and `camera` are both given, or FFmpeg has no
            such hardware.
    """

    stabilizer: str = DEFAULT_STABILIZER
    lag: int | None = None
    motion: bool = True
    network_every: int | str = AUTO
    decoder: str | None = None
    max_faces: int = TrackerConfig.max_faces
    min_face: float | None = None
    min_score: float | None = None
    min_detection: float | None = None
    detector: str | Path | None = None
    weights: str | Path = DEFAULT_MODEL
    device: str = "auto"
    threads: int | None = None
    hwaccel: str = "none"
    fps: float = DEFAULT_FPS
    independent: bool = False
    start: float = 0.0
    end: float | None = None
    pixels: str = SQUARE
    max_pixels: int = MOST_PIXELS
    people: str | Path | None = None
    frontal: bool = False
    focal: float | None = None
    camera: str | Path | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            check_kind(field.name, getattr(self, field.name), field.default)
        positive("fps", self.fps)
        check_threads(self.threads)
        if self.max_pixels < 1:
            raise ConfigError(f"max_pixels must be at least 1, got {self.max_pixels}")
        for name in ("min_score", "min_detection"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise ConfigError(f"{name} must lie between 0 and 1, got {value}")
        check_camera(self.focal, self.camera)
        check_network_every(self.network_every, self.motion)
        check_span(self.start, self.end)
        check_pixels(self.pixels)
        check_hwaccel(self.hwaccel)


def check_kind(name: str, value: object, default: object) -> None:
    """Refuse an option of another kind, such as None where the default is a number.

    Args:
        name: of a field of `TrackingOptions`.
        value: given for it.
        default: None allows None.

    Raises:
        ConfigError: it is one.
    """
    if (value is None and default is None) or name == "network_every":  # the latter has a check of its own
        return
    if name in _WHOLE:
        whole(name, value)
    elif name in _REAL:
        number(name, value)
    elif name in _SWITCHES:
        if not isinstance(value, bool):
            raise ConfigError(f"{name} must be True or False, got {shown(value)}")
    elif not isinstance(value, str | Path):
        raise ConfigError(f"{name} must be a name or a path, got {shown(value)}")


class TrackingKeywords(TypedDict, total=False):
    """Fields of `TrackingOptions` as keywords of `track`, beside `stabilizer` and `detector`."""

    lag: int | None
    motion: bool
    network_every: int | str
    decoder: str | None
    max_faces: int
    min_face: float | None
    min_score: float | None
    min_detection: float | None
    weights: str | Path
    device: str
    threads: int | None
    hwaccel: str
    fps: float
    independent: bool
    start: float
    end: float | None
    pixels: str
    max_pixels: int
    people: str | Path | None
    frontal: bool
    focal: float | None
    camera: str | Path | None


def check_keywords(options: Mapping[str, object]) -> None:
    """Refuse keywords that are no options.

    Raises:
        ConfigError: one is not; the message names the nearest.
    """
    known = [field.name for field in fields(TrackingOptions)]
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"unknown option {name!r}{hint}; the options are: {', '.join(known)}")
