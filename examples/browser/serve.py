"""Serve the page of this folder, with a model and the bundled stabiliser: python serve.py [MODEL] [PORT].

MODEL is a bundled model's name or a file written by `steadyface export`; `tiny` if it is left out.
"""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

from steadyface.models import model_path

HERE = Path(__file__).parent
STABILIZER = Path(str(files("steadyface") / "weights" / "stabilizers" / "sta.json"))


class Page(SimpleHTTPRequestHandler):
    """This folder, and two files of the package beside it."""

    def __init__(self, *arguments: object, model: Path) -> None:
        self.beside = {"/model.onnx": model, "/stabilizer.json": STABILIZER}
        super().__init__(*arguments, directory=str(HERE))  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        return str(self.beside.get(path) or super().translate_path(path))

    def end_headers(self) -> None:
        # Only pages that are isolated from others may use several threads.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of each request."""


def serve(model: str = "tiny", port: int = 0) -> ThreadingHTTPServer:
    """A server of the page at 127.0.0.1, not yet running; port 0 takes any that is free."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Page, model=model_path(model, "float32")))


if __name__ == "__main__":
    server = serve(*sys.argv[1:2], port=int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
    print(f"http://127.0.0.1:{server.server_port}")
    server.serve_forever()
