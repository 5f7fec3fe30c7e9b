"""Files that the page asks for: recordings in several formats, their reports, and the sample clip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse

from steadyface.errors import SteadyfaceError
from steadyface.live.sample import write_sample
from steadyface.live.session import Session
from steadyface.report import PAGE
from steadyface.scratch import scratch_folder
from steadyface.tracks.formats.tabular import meta_path

_REPORTS = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'; "
    "sandbox allow-scripts allow-downloads"
)
"""Content security policy of a report: a page of its own, which reaches nothing of this server."""


class Downloads(ExitStack):
    """Endpoints for files. Leaving the `with` block removes what lies outside `place`.

    Args:
        sessions: of all tabs, whose recordings can be downloaded.
        worker: writes the files that are not there yet.
        place: folder for the sample; None means the system's temporary folder.
    """

    def __init__(self, sessions: Set[Session], worker: Executor, place: Path | None) -> None:
        super().__init__()
        self._sessions, self._worker, self._place = sessions, worker, place

    async def recording(self, request: Request) -> FileResponse:
        """Send a recording as `.csv`, `.meta.json` or `.json`, or show its `.report.html`."""
        name, dot, kind = request.path_params["file"].partition(".")
        session, ending = self._session_of(name), dot + kind
        path, label = session.recorded[name], session.labels[name]
        if ending == ".meta.json":
            path = meta_path(path)
        elif ending in (".json", PAGE):
            path = await self._written(session.converted, name, ending)
        elif ending != ".csv":
            raise HTTPException(404, "a recording is a .csv, .json or .report.html")
        if ending == PAGE:
            return FileResponse(path, headers={"Content-Security-Policy": _REPORTS})
        return FileResponse(path, filename=f"{label}{ending}")

    async def sample(self, _: Request) -> FileResponse:
        """Send the sample clip, which is rendered at the first request."""
        if self._place is None:
            self._place = self.enter_context(scratch_folder("steadyface-live-"))
        return FileResponse(await self._written(write_sample, self._place / "sample.mp4"))

    def _session_of(self, name: str) -> Session:
        for session in self._sessions:
            if name in session.recorded:
                return session
        raise HTTPException(404, "no such recording: it is deleted when its tab is closed")

    async def _written(self, call: Callable[..., Path], *arguments: Any) -> Path:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, call, *arguments)
        except SteadyfaceError as error:
            raise HTTPException(500, str(error)) from error
