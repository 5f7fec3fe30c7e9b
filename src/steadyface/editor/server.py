"""Server of the page for corrections, on 127.0.0.1 and under an address that only this page knows."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from steadyface.correction import Correction
from steadyface.editor.session import Editor
from steadyface.errors import SteadyfaceError
from steadyface.interrupts import handled_by
from steadyface.live.guard import LocalOnly
from steadyface.live.server import HOST, listen, quiet_server

_PACKAGE = Path(str(files("steadyface")))

T = TypeVar("T")


def make_app(editor: Editor, port: int, token: str) -> Starlette:
    """Make the ASGI application. One thread does all the work, so that nothing is read while it changes.

    Args:
        editor: whose tracks are corrected.
        port: on which the server listens.
        token: first part of the path of every address.
    """
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="steadyface-editor")

    async def done(work: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(worker, work, *given)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await done(editor.pictures.close)
        worker.shutdown(cancel_futures=True)

    async def clip(_: Request) -> Response:
        return JSONResponse(await done(editor.describe))

    async def faces(request: Request) -> Response:
        return JSONResponse(await done(editor.faces, request.path_params["frame"]))

    async def picture(request: Request) -> Response:
        return Response(
            await done(editor.pictures.jpeg, request.path_params["frame"]), media_type="image/jpeg"
        )

    async def correct(request: Request) -> Response:
        try:
            given = [Correction.from_values(each) for each in await request.json()]
        except (ValueError, TypeError, KeyError) as error:
            return JSONResponse({"error": f"no list of corrections: {error}"}, 400)
        await done(editor.correct, given)
        return JSONResponse({})

    async def save(_: Request) -> Response:
        return JSONResponse({"path": str(await done(editor.save))})

    async def refuse(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    routes = [
        Route("/clip", clip),
        Route("/faces/{frame:int}", faces),
        Route("/frames/{frame:int}.jpg", picture),
        Route("/corrections", correct, methods=["PUT"]),
        Route("/save", save, methods=["POST"]),
        *(
            Route(f"/{Path(shared).name}", _file(shared))
            for shared in ("html/grips.js", "live/page/icon.svg")
        ),
        Mount("/", StaticFiles(directory=_PACKAGE / "editor" / "page", html=True)),
    ]
    return Starlette(
        lifespan=lifespan,
        middleware=[Middleware(LocalOnly, port=port)],
        exception_handlers={SteadyfaceError: refuse},
        routes=[Mount(f"/{token}", routes=routes)],
    )


def _file(name: str) -> Callable[[Request], FileResponse]:
    """Answer with a file of the package."""
    return lambda _: FileResponse(_PACKAGE / name)


def serve(editor: Editor, port: int, started: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        editor: whose tracks are corrected.
        port: of 127.0.0.1; 0 takes a free one.
        started: called with the page's address once the server listens.

    Raises:
        ConfigError: the port is taken or cannot be used.
    """
    with listen(port) as listening:
        port, token = listening.getsockname()[1], secrets.token_urlsafe(12)
        server = quiet_server(make_app(editor, port, token))
        with handled_by(lambda *_: setattr(server, "should_exit", True)):
            started(f"http://{HOST}:{port}/{token}/")
            server.run(sockets=[listening])
