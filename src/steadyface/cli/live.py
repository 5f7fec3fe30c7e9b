"""Command that serves the live page."""

from __future__ import annotations

import webbrowser


def live(
    *,
    port: int = 8068,
    open: bool = True,
    max_faces: int = 4,
    device: str = "auto",
    weights: str = "compact",
) -> int:
    """Serve a page that tracks the faces of a webcam or a video while you watch.

    The page is served to this machine only, and nothing leaves it. Ctrl-C stops the server.

    Parameters
    ----------
    port
        Port of 127.0.0.1; 0 takes a free one.
    open
        Open the page in the browser.
    max_faces
        Most faces at a time, largest first.
    device
        auto, cpu or cuda.
    weights
        Name of a bundled landmark network, or an exported .onnx file.
    """
    from steadyface.live import server
    from steadyface.live.session import Networks
    from steadyface.pipeline import TrackingOptions

    options = TrackingOptions(max_faces=max_faces, device=device, weights=weights)

    def started(address: str) -> None:
        print(f"{address}  (Ctrl-C ends it)", flush=True)
        if open:
            webbrowser.open(address)

    server.serve(Networks(options), port, started)
    return 0
