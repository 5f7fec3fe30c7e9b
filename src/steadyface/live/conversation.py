"""Connection of one tab: the newest frame is tracked, older ones are dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect

from steadyface.errors import ConfigError, SteadyfaceError
from steadyface.live.messages import greeting, read_request
from steadyface.live.session import Session

Result = TypeVar("Result")


class Conversation:
    """Exchange of frames, answers and requests with one tab.

    While a frame is tracked, only the newest of the frames that arrive is kept.

    Args:
        socket: already accepted.
        session: of this tab.
        worker: runs the networks, so that the event loop stays free.
    """

    def __init__(self, socket: WebSocket, session: Session, worker: Executor) -> None:
        self._socket, self._session, self._worker = socket, session, worker
        self._waiting: bytes | None = None
        self._arrived = asyncio.Event()
        self._dropped = 0

    async def run(self) -> None:
        """Answer the tab until it is closed or the connection breaks."""
        try:
            await self._send(greeting(self._session.stabilizer, self._session.decoder, self._session.people))
            async with asyncio.TaskGroup() as tasks:
                answering = tasks.create_task(self._answer_frames())
                await self._listen()
                answering.cancel()
        except* WebSocketDisconnect:
            pass

    async def _listen(self) -> None:
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            if (data := message.get("bytes")) is not None:
                self._dropped += self._waiting is not None
                self._waiting = data
                self._arrived.set()
            elif reply := await self._try(self._answer_request, message["text"]):
                await self._send(reply)

    async def _answer_frames(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            data, self._waiting = self._waiting, None
            if data is not None and (reply := await self._try(self._session.answer, data, self._dropped)):
                await self._send(reply)

    def _answer_request(self, text: str) -> dict[str, Any]:
        """Carry out a request of the page."""
        match read_request(text):
            case {"type": "configure", "stabilizer": str(stabilizer), "decoder": str(decoder)}:
                self._session.configure(stabilizer, decoder)
                return {"type": "configured", "stabilizer": stabilizer, "decoder": decoder}
            case {"type": "restart"}:
                self._waiting = None
                self._session.restart()
                return {"type": "restarted"}
            case {"type": "record", "source": str(source)}:
                kept = self._session.start_recording(source)
                return {"type": "recording", "kept": None if kept is None else str(kept)}
            case {"type": "save"}:
                saved = self._session.stop_recording()
                return {
                    "type": "saved",
                    "path": f"/recordings/{saved.name}",
                    "label": saved.label,
                    "rows": saved.rows,
                    "problem": saved.problem,
                }
            case request:
                raise ConfigError(f"unknown request {str(request)[:80]}")

    async def _try(self, call: Callable[..., Result], *arguments: Any) -> Result | None:
        """Run a call in the worker; send its error to the page and return None if it fails."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._worker, call, *arguments)
        except SteadyfaceError as error:
            await self._send({"type": "error", "message": str(error)})
            return None

    async def _send(self, message: dict[str, Any] | bytes) -> None:
        """Send bytes, or an object as JSON.

        Raises:
            WebSocketDisconnect: the tab has gone.
        """
        try:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_json(message)
        except RuntimeError as error:  # the connection was closed from here, so that nothing may be sent
            raise WebSocketDisconnect(1006, str(error)) from error
