"""Server of the live page on 127.0.0.1: files, WebSocket and recordings."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from steadyface.errors import ConfigError, SteadyfaceError
from steadyface.interrupts import handled_by
from steadyface.live.conversation import Conversation
from steadyface.live.downloads import Downloads
from steadyface.live.guard import LocalOnly
from steadyface.live.messages import MOST_BYTES
from steadyface.live.session import Networks, Session
from steadyface.scratch import scratch_folder

HOST = "127.0.0.1"
MOST_SESSIONS = 4

_TRY_LATER = 1013  # WebSocket's code for a server that is full
_PAGE = Path(str(files("steadyface"))) / "live" / "page"


def make_app(networks: Networks, port: int, place: Path | None = None, out: Path | None = None) -> Starlette:
    """Make the ASGI application.

    One thread runs the networks of all sessions: a network already uses several cores, and a session must not
    be in two calls at a time.

    Args:
        networks: shared by all tabs.
        port: on which the server listens.
        place: folder for recordings; None means the system's temporary folder.
        out: folder for a recording whose tab closes while it runs; None drops it.
    """
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="steadyface-live")
    sessions: set[Session] = set()
    downloads = Downloads(sessions, worker, place)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette):  # type: ignore[no-untyped-def]
        with downloads:
            yield
        worker.shutdown(cancel_futures=True)

    opening = asyncio.Semaphore(MOST_SESSIONS)

    async def live(socket: WebSocket) -> None:
        await socket.accept()
        if opening.locked():
            await socket.close(_TRY_LATER, f"{MOST_SESSIONS} tabs are open already: close one of them")
            return
        async with opening:
            loop = asyncio.get_running_loop()
            session = await loop.run_in_executor(worker, Session, networks, place, out)
            sessions.add(session)
            try:
                await Conversation(socket, session, worker).run()
            finally:
                await asyncio.shield(loop.run_in_executor(worker, _close, session))
                sessions.discard(session)

    async def elsewhere(socket: WebSocket) -> None:
        await socket.close()

    app = Starlette(
        lifespan=lifespan,
        middleware=[Middleware(LocalOnly, port=port)],
        routes=[
            WebSocketRoute("/live", live),
            WebSocketRoute("/{_:path}", elsewhere),
            Route("/recordings/{file}", downloads.recording),
            Route("/sample.mp4", downloads.sample),
            Mount("/", StaticFiles(directory=_PAGE, html=True)),
        ],
    )
    app.state.sessions = sessions
    return app


def _close(session: Session) -> None:
    """Close a session; say where a recording that was running is kept."""
    try:
        kept = session.close()
    except SteadyfaceError as error:
        logging.getLogger(__name__).warning("%s: a recording is lost", error)
        return
    if kept is not None:
        with contextlib.suppress(BrokenPipeError):  # nobody reads the output any more; the page goes on
            print(f"{kept}  (its page was closed while it recorded)", flush=True)


class _Server(uvicorn.Server):
    """Server that leaves signals to `serve`; uvicorn's own handling ends a second Ctrl-C in a traceback."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(networks: Networks, port: int, started: Callable[[str], None], out: Path | None = None) -> None:
    """Serve the page until Ctrl-C, SIGTERM or SIGHUP; more of them change nothing.

    Recordings lie in a temporary folder, which is removed at the end. What a killed server left is removed
    first. One that runs when its page or the server ends is kept.

    Args:
        networks: shared by all tabs.
        port: of 127.0.0.1; 0 takes a free one.
        started: called with the page's address once the server listens.
        out: folder for recordings that are kept; None keeps none.

    Raises:
        ConfigError: the port is taken or cannot be used.
        DataError: there is no temporary folder.
    """
    with listen(port) as listening, scratch_folder("steadyface-live-") as place:
        server = make_server(networks, listening, place, out)
        with handled_by(lambda *_: setattr(server, "should_exit", True)):
            started(f"http://{HOST}:{listening.getsockname()[1]}")
            server.run(sockets=[listening])


def make_server(
    networks: Networks, listening: socket.socket, place: Path | None = None, out: Path | None = None
) -> uvicorn.Server:
    """Make a server for a listening socket; uvicorn logs warnings only. The folders are as for `make_app`."""
    app = make_app(networks, listening.getsockname()[1], place, out)
    logging.getLogger("uvicorn.error").addFilter(_without_senders_traceback)
    return quiet_server(app, ws="websockets-sansio", ws_max_size=MOST_BYTES, ws_per_message_deflate=False)


def quiet_server(app: Starlette, **options: Any) -> uvicorn.Server:
    """Make a server that logs warnings only and leaves signals to its caller; options are uvicorn's."""
    return _Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, **options))


def listen(port: int) -> socket.socket:
    """Listen on a port of 127.0.0.1, so that its address works before it is printed.

    Raises:
        ConfigError: the port is taken or cannot be used.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "is taken" if taken else f"cannot be used ({error})"
        raise ConfigError(f"port {port} of {HOST} {reason}: choose another with --port") from error
    return listening


def _without_senders_traceback(record: logging.LogRecord) -> bool:
    """Log text that is not UTF-8 in one line, since it is the sender's fault."""
    if record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError):
        record.exc_info = None
    return True
