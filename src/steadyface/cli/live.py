"""Command that serves the live page."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from steadyface.cli.terminal import announce


def live(
    *,
    out: Path = Path("steadyface-out"),
    port: int = 8068,
    open: bool = True,
    max_faces: int = 4,
    stabilizer: str = "sta",
    detector: Path | None = None,
    people: Path | None = None,
    device: str = "auto",
    weights: str = "compact",
    network_every: int | str = "auto",
) -> int:
    """Serve a page that tracks the faces of a webcam or a video while you watch.

    The page is served to this machine only, and nothing leaves it. Ctrl-C stops the server.

    Parameters
    ----------
    out
        Folder for a recording that is still running when its page or the server ends; all others are saved by
        the browser.
    port
        Port of 127.0.0.1; 0 takes a free one.
    open
        Open the page in the browser.
    max_faces
        Most faces at a time, largest first.
    stabilizer
        The stabiliser that the page begins with: the name of one that needs no later frame, or a .json file.
    detector
        An .onnx file that finds the faces, as of `steadyface track`. Left out: the bundled finder.
    people
        Folder of photographs by which faces get names: PEOPLE/NAME.jpg, or PEOPLE/NAME/ with several.
    device
        auto, cpu or cuda.
    weights
        Name of a bundled landmark network, or an exported .onnx file.
    network_every
        Frames of a face from one run of the landmark network to the next, or auto, as of `steadyface track`;
        1 with a stabiliser that takes no measured motion.
    """
    from steadyface.live import server
    from steadyface.live.session import Networks, Session
    from steadyface.pipeline import TrackingOptions

    options = TrackingOptions(
        stabilizer=stabilizer,
        max_faces=max_faces,
        detector=detector,
        people=people,
        device=device,
        weights=weights,
        network_every=network_every,
    )
    networks = Networks(options)
    Session(networks).close()  # refuses options before the page is there
    server.serve(networks, port, partial(announce, open=open), out)
    return 0
