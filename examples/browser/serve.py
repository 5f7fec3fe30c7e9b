"""Serve the page of this folder, with a model and its stabiliser: python serve.py [MODEL] [PORT].

MODEL is a bundled model's name or a file written by `steadyface export`; `tiny` if it is left out.
"""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from steadyface.landmarker import Landmarker
from steadyface.models import model_path
from steadyface.stabilizer import stabilizer_path

HERE = Path(__file__).parent


class Page(SimpleHTTPRequestHandler):
    """This folder, and two files of the package beside it."""

    def __init__(self, *arguments: object, beside: dict[str, Path]) -> None:
        self.beside = beside
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
    path = model_path(model, "float32")
    parameters = stabilizer_path("sta", Landmarker(path, device="cpu").name)
    beside = {"/model.onnx": path, "/stabilizer.json": parameters}
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Page, beside=beside))


if __name__ == "__main__":
    server = serve(*sys.argv[1:2], port=int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
    print(f"http://127.0.0.1:{server.server_port}")
    server.serve_forever()
