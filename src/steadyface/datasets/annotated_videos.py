"""Videos with a `.pts` file per frame: 300-VW and the Talking Face video, in their original folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from steadyface.arrays import Points
from steadyface.datasets.broken_frames import BROKEN_FRAMES, expand
from steadyface.errors import ConfigError, DataError
from steadyface.files import list_shown
from steadyface.images import SUFFIXES
from steadyface.markup import OUTER_EYE_CORNERS, SEVEN_TALKING_FACE
from steadyface.pts import read_face
from steadyface.video import VideoFrame, open_frames


def _names(listed: str) -> tuple[str, ...]:
    """Expand a list of names of videos with ranges.

    >>> _names("007 505-507")
    ('007', '505', '506', '507')
    """
    return tuple(f"{number:03d}" for number in expand(listed))


TRAINING = _names(
    "001-004 007 009-011 013 015-020 022 025 027-029 031 033-035 037 039 041 043 044 046-049 053 057 059"
    " 112 113 115 119 120 123 138 143 144 160 204 205 223 225"
)
"""The 50 training videos of 300-VW."""

SCENARIO_1 = _names("114 124-126 150 158 401 402 505-511 514 515 518-522 524 525 537 538 540 541 546-548")
"""The 31 test videos in good light."""

SCENARIO_2 = _names("203 208 211-214 218 224 403-409 412 550 551 553")
"""The 19 test videos in changing light."""

SCENARIO_3 = _names("410 411 516 517 526 528-531 533 557-559 562")
"""The 14 test videos in arbitrary conditions."""

SCENARIOS: dict[int | str, tuple[str, ...]] = {
    "train": TRAINING,
    1: SCENARIO_1,
    2: SCENARIO_2,
    3: SCENARIO_3,
}


@dataclass(frozen=True)
class AnnotatedVideo:
    """Video of one face with annotated frames.

    Iterating yields every frame with its points, (68, 2) in 0-based image px, or None without annotation. It
    can be repeated, and raises:

    - DataError: as of `points`; or an annotation comes after damage to the video, which may have lost frames,
      or lies beyond the last frame: frames and annotations then do not match.
    - VideoError: the video is missing or cannot be read.

    Args:
        name: of the video within its data set.
        source: the video file, or the folder of its frames.
        annotations: the folder of its `.pts` files, each named `prefix` + number of its frame.
        first: number of the first frame.
        prefix: of the names.
        one_based: whether the `.pts` files count pixels from 1.
        eyes: the outer eye corners in their markup.
        fps: frames per second, for a folder; a video file has its own.
        broken: numbers of frames whose annotation is known to be wrong: they count as not annotated.
    """

    name: str
    source: Path
    annotations: Path
    first: int = 1
    prefix: str = ""
    one_based: bool = True
    eyes: tuple[int, int] = OUTER_EYE_CORNERS
    fps: float = 25.0
    broken: frozenset[int] = frozenset()

    def __iter__(self) -> Iterator[tuple[VideoFrame, Points | None]]:
        remaining = self._paths()
        count = 0
        with open_frames(self.source, self.fps) as frames:
            for frame in frames:
                count = frame.index + 1
                path = remaining.pop(frame.index, None)
                if path is not None and frames.damage:
                    raise DataError(path, f"its frame is uncertain: {frames.damage}")
                yield frame, None if path is None else self._read(path)
            if remaining:
                problem = f"beyond the last frame: {self.source} ends after {count} frames"
                first_path = remaining[min(remaining)]
                raise DataError(first_path, "; ".join(filter(None, [problem, frames.damage])))

    def points(self) -> dict[int, Points]:
        """Read the points of the annotated frames, by index of the frame from 0; opens no video.

        Returns:
            (68, 2) each, 0-based image px.

        Raises:
            DataError: a `.pts` file is broken (with path and line), has no frame's name, has the number of
                another or one before the first frame; or there is none.
        """
        return {index: self._read(path) for index, path in self._paths().items()}

    def _paths(self) -> dict[int, Path]:
        """Find the `.pts` files, by index of their frame, ascending."""
        paths = _by_number(list_shown(self.annotations, {".pts"}), self.prefix)
        if not paths:
            raise DataError(self.annotations, "no .pts files")
        if (least := min(paths)) < self.first:
            raise DataError(paths[least], f"before the first frame, which is number {self.first}")
        return {number - self.first: path for number, path in paths.items() if number not in self.broken}

    def _read(self, path: Path) -> Points:
        return read_face(path, self.eyes, self.one_based)


def find_300vw(root: str | Path, scenario: int | str) -> list[AnnotatedVideo]:
    """Find the videos of a part of 300-VW: `root/NNN/vid.avi` and `root/NNN/annot/000001.pts`.

    Frames whose annotation is known to be wrong (`BROKEN_FRAMES`) count as not annotated. A video without a
    folder is left out: compare with `SCENARIOS`. Points can be read without `vid.avi`.

    Args:
        root: the folder of all videos.
        scenario: 1, 2 or 3 of the test set, or "train".

    Raises:
        ConfigError: an unknown scenario.
        DataError: no video was found.
    """
    if scenario not in SCENARIOS:
        raise ConfigError.choice("scenario of 300-VW", scenario, SCENARIOS)
    names = [name for name in SCENARIOS[scenario] if (Path(root) / name).is_dir()]
    if not names:
        listed = " ".join(SCENARIOS[scenario])
        raise DataError(root, f"no folder of a video of 300-VW's scenario {scenario} ({listed})")
    folders = [Path(root) / name for name in names]
    return [
        AnnotatedVideo(
            folder.name,
            folder / "vid.avi",
            folder / "annot",
            broken=BROKEN_FRAMES.get(folder.name, frozenset()),
        )
        for folder in folders
    ]


def talking_face(root: str | Path) -> AnnotatedVideo:
    """Find the Talking Face video: `root/images/franck_00000.jpg` and `root/points/franck_00000.pts`.

    Its 68 points are FGNET's, not those of `markup`. Any successive frames of it are accepted.

    Raises:
        DataError: there are no images or no `.pts` files; one is not named as a frame; an image is missing
            between two others, or that of a `.pts` file is.
    """
    source, annotations, prefix = Path(root) / "images", Path(root) / "points", "franck_"
    images = _by_number(list_shown(source, SUFFIXES), prefix)
    if not images:
        raise DataError(source, "no images of the Talking Face video")
    for before, after in pairwise(images):
        if after != before + 1:
            raise DataError(images[after], f"frame {before + 1} is missing before it")
    right, left = (int(SEVEN_TALKING_FACE[i]) for i in (0, 3))
    video = AnnotatedVideo("talking_face", source, annotations, min(images), prefix, False, (right, left))
    for index, path in video._paths().items():
        if index >= len(images):
            raise DataError(path, f"no image of this number in {source}")
    return video


def _by_number(paths: Iterable[Path], prefix: str) -> dict[int, Path]:
    """Sort files by the number in their names.

    Raises:
        DataError: a name is not `prefix` + number, or two have one number.
    """
    found: dict[int, Path] = {}
    for path in paths:
        digits = path.stem.removeprefix(prefix)
        if not path.stem.startswith(prefix) or not digits.isdecimal():
            raise DataError(path, f"its name is not {prefix}NUMBER")
        if (same := found.setdefault(int(digits), path)) != path:
            raise DataError(path, f"has the number of {same.name}")
    return dict(sorted(found.items()))
