"""Command that stabilises a table again."""

from __future__ import annotations

import math
from pathlib import Path

from steadyface.cli.terminal import say
from steadyface.errors import ConfigError
from steadyface.files import writing
from steadyface.progress import show_progress
from steadyface.stabilizer import DEFAULT_STABILIZER
from steadyface.video import DEFAULT_FPS


def stabilize(
    tracks: Path,
    clip: str | None = None,
    /,
    *,
    out: Path,
    stabilizer: str = DEFAULT_STABILIZER,
    lag: int | None = None,
    fps: float = DEFAULT_FPS,
    pixels: str | None = None,
    quiet: bool = False,
) -> int:
    """Stabilise the raw points of a table again, also those of OpenFace, without running a network.

    With the clip, sta and sta-offline measure in it how far the skin has moved; without it they filter the
    points alone, which then shake about twice as much. Layers of the table are dropped, since they stem from
    the points before; all else stays.

    Parameters
    ----------
    tracks
        Tracks (.npz, .csv, .parquet, .json), or the .csv of OpenFace.
    clip
        Clip that the points are of.
    out
        File for the result, of any type that `steadyface track` writes.
    stabilizer
        Name or .json file, as of `steadyface track`.
    lag
        Number of later frames that each point may depend on, with sta. Left out: none, or all with
        sta-offline.
    fps
        Frame rate of a folder of images.
    pixels
        Of another program's table of a clip with oblong pixels: coded, as OpenCV and OpenFace read them, or
        square, as a player shows them. Tables of steadyface say it themselves.
    quiet
        Print no progress and no summary.
    """
    from steadyface.replay import stabilize as stabilize_tracks
    from steadyface.tracks import Tracks
    from steadyface.tracks.formats import check_writable

    check_writable(out)
    if out.resolve() == tracks.resolve():
        raise ConfigError(f"{out} is the table itself: name another file")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    table = Tracks.load(tracks)
    with show_progress(tracks.name, quiet) as progress:
        table = stabilize_tracks(
            table, clip, stabilizer=stabilizer, lag=lag, fps=fps, pixels=pixels, progress=progress
        )
    path = table.save(out)
    if not quiet:
        before, after = table.jitter("raw_points"), table.jitter()
        told = f": jitter {before:.3f} → {after:.3f} % of the inter-ocular distance"
        say(f"{path}{'' if math.isnan(before) else told}")
    return 0
