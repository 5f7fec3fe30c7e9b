"""Names of results: the input that the files NAME.* of a folder come from, and whether they are complete.

`NAME.meta.json` beside them names the input, the options and the files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, takewhile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from steadyface import files
from steadyface.clips.overlay_file import PICTURE, PICTURES, VIDEO
from steadyface.errors import ConfigError, DataError
from steadyface.tracks import FORMATS, Meta, Tracks
from steadyface.tracks.formats import ending
from steadyface.tracks.formats.tabular import read_meta
from steadyface.tracks.schema import META, RESULTS
from steadyface.video import SQUARE, Frames, identify, is_live, open_frames, source_name
from steadyface.video.sources import is_url, local, named_path
from steadyface.wording import counted

_ENDINGS = (*map(ending, FORMATS), VIDEO, PICTURE, PICTURES, META)

_WORK = ("source", "input", "weights", "options", "fps", "start", "end", "pixels", "camera")
"""Entries of `meta` that tell one work from another: the input, and all that decides its points."""


def choose_names(sources: Iterable[str]) -> dict[str, str]:
    """Choose names of results: a file's without suffix; where several have it, with their folders' names.

    An input that is named twice is left out the second time.

    >>> choose_names(["a/clip.mp4", "b/clip.mp4", "talk.mov"]).values()
    dict_values(['a-clip', 'b-clip', 'talk'])
    """
    once: dict[str, str] = {}
    for source in sources:
        once.setdefault(_place_of(source), source)
    names = {source: source_name(source) for source in once.values()}
    counts = Counter(names.values())
    return {
        source: name if counts[name] == 1 or is_live(source) else f"{_folder_of(source)}-{name}"
        for source, name in names.items()
    }


def check_names(sources: Iterable[str | Path], suffix: str = ".npz") -> None:
    """Refuse inputs that would write the same file NAME`suffix`.

    Raises:
        ConfigError: two inputs have one name.
    """
    seen: dict[str, str | Path] = {}
    for source in sources:
        name = source_name(source)
        if name in seen:
            both = f"{seen[name]} and {source} would both write {name}{suffix}"
            raise ConfigError(f"{both}: use two --out folders")
        seen[name] = source


def choose_base(folder: Path, name: str, meta: Meta, overwrite: bool = False) -> Path:
    """Choose the path, without suffix, of results: FOLDER/NAME, or FOLDER/NAME-2 and so on.

    It is the first that is free, or that has results of the same input with the same options.

    Args:
        folder: of the results.
        name: NAME.
        meta: of the work to be done.
        overwrite: choose NAME in any case.
    """
    return next(
        base
        for base in _bases(folder, name)
        if overwrite or not _existing(base) or _is_same_work(_recorded(base), meta)
    )


def is_whole(base: Path, meta: Meta, endings: Iterable[str]) -> bool:
    """Whether the same work by this version was done to its end, and all files with the endings are there."""
    recorded = _recorded(base)
    if not _is_same_work(recorded, meta) or recorded.get("version") != meta["version"]:
        return False
    about = recorded.get(RESULTS) or {}
    listed = set(about.get("files") or ())
    wanted = {f"{base.name}{each}" for each in endings}
    there = all((base.parent / each).exists() for each in wanted)
    return bool(about.get("whole")) and wanted <= listed and there


def record(base: Path, meta: Meta, written: Sequence[Path], whole: bool) -> Path:
    """Write NAME.meta.json: `meta`, and under `results` the files and whether they are whole.

    Files that an earlier run of the same work wrote stay listed; those of another work, which this one
    overwrites, are removed.

    Raises:
        DataError: it cannot be written, or an old file not removed.
    """
    before = _recorded(base)
    known = {f"{base.name}{each}" for each in _ENDINGS}  # no path is taken from a file without a check
    names = dict.fromkeys(path.name for path in written)
    for old in (before.get(RESULTS) or {}).get("files") or ():
        path = base.parent / old
        if old in known and old not in names and path.exists():
            if _is_same_work(before, meta):
                names[old] = None
            else:
                files.remove(path)
    content = {**meta, RESULTS: {"files": sorted(names), "whole": whole}}
    return files.write_text(_meta_path(base), json.dumps(content, indent=1))


def _place_of(source: str) -> str:
    """Path of a file without detours; any other input as it is."""
    where = local(source)
    return source if is_live(source) or is_url(where) else str(Path(where).absolute())


def _folder_of(source: str) -> str:
    """Name of the folder that holds a file, also of a URL's path."""
    if is_url(source):
        return PurePosixPath(urlsplit(source).path).parent.name or "url"
    return named_path(Path(local(source)).parent).name


def recorded_frames(base: Path) -> int:
    """Number of frames that NAME.meta.json says; 0 without one."""
    return int(_recorded(base).get("frames") or 0)


def find_results(folder: Path, source: str | Path, suffix: str) -> Path | None:
    """Find the file NAME.SUFFIX, NAME-2.SUFFIX … that holds results of this very input; None without one."""
    name, own = source_name(source), identify(source)
    for base in takewhile(_existing, _bases(folder, name)):
        path = base.with_name(f"{base.name}{suffix}")
        if own is not None and _recorded(base).get("input") == own and path.exists():
            return path
    return None


def _bases(folder: Path, name: str) -> Iterator[Path]:
    return (folder / (name if number == 1 else f"{name}-{number}") for number in count(1))


def _existing(base: Path) -> list[Path]:
    paths = (base.with_name(f"{base.name}{each}") for each in _ENDINGS)
    return [path for path in paths if path.exists()]


def _recorded(base: Path) -> dict[str, Any]:
    """Content of NAME.meta.json; empty where there is none, or where it is none of ours."""
    try:
        return read_meta(_meta_path(base), with_results=True)
    except DataError:
        return {}


def _meta_path(base: Path) -> Path:
    return base.with_name(f"{base.name}{META}")


def _is_same_work(recorded: Meta, meta: Meta) -> bool:
    """A camera and a pipe have no identity: each of their runs is another work."""
    now = json.loads(json.dumps({key: meta.get(key) for key in _WORK}))
    return now["input"] is not None and now == {key: recorded.get(key) for key in _WORK}


def open_clip(tracks: Tracks, clip: str | Path, fps: float, start: float = 0.0) -> Frames:
    """Open the part of a clip that was tracked, with its pixels as they were then.

    Args:
        tracks: of the clip.
        clip: as for `open_frames`.
        fps: frame rate of a folder of images.
        start: seconds of the clip before which no frame is needed.

    Raises:
        VideoError, DataError: the clip cannot be opened.
    """
    meta = tracks.meta
    start = max(start, meta.get("start") or 0.0)
    return open_frames(clip, fps, start, meta.get("end"), meta.get("pixels", SQUARE))


def check_clip(tracks: Tracks, frames: Frames, name: str, advice: str = "") -> None:
    """Refuse tracks of another clip.

    Tracks that do not identify their clip, as those of other programs, are compared by its name, its size and
    its number of frames, as far as they know them.

    Raises:
        DataError: they are of another clip; or the clip's pixels are oblong, and the tracks, which are of
            another program, do not say which picture they mean. The message begins with `name` and, of
            another clip, ends with the advice.
    """
    meta = tracks.meta
    source, size, count = meta.get("source"), meta.get("size"), meta.get("frames")
    here = [frames.width, frames.height]
    if "input" in meta:
        same = meta["input"] == frames.identity
    else:
        same = source in (None, frames.path.name) and size in (None, here)
        if count is not None and frames.frame_count is not None:
            same &= count <= frames.frame_count + 1  # an estimate
    if not same and source is None and size not in (None, here):
        theirs = f"those of {frames.path} have {_by(here)}"
        raise DataError(name, f"holds points in frames of {_by(size)} px, and {theirs}{advice}")
    if not same and source is None and count is not None:
        theirs = f"{frames.path} has {frames.frame_count}"
        raise DataError(name, f"holds points of {counted(count, 'frame')}, and {theirs}{advice}")
    if not same:
        other = f"another {source}" if source == frames.path.name else source
        raise DataError(name, f"holds tracks of {other}, not of {frames.path}{advice}")
    if source is None and "pixels" not in meta and _is_oblong(frames):
        which = "the coded picture, as OpenCV and OpenFace read it, or of the square one that a player shows"
        told = (
            f"does not say whether its points are px of {which}: tell it to steadyface stabilize by --pixels"
        )
        raise DataError(name, f"{told}; {frames.path} has oblong ones")


def _is_oblong(frames: Frames) -> bool:
    """Whether the picture was made wider or narrower than it is coded; it may also have been turned."""
    return frames.coded_size is not None and {*frames.coded_size} != {frames.width, frames.height}


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))
