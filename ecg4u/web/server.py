"""The HTTP server: uvicorn, with a limit on slow headers and a stop that tells who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ecg4u.web.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

HEADER_TIMEOUT_S = 10.0


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose request line and headers do not arrive in time.

    uvicorn itself waits for them for ever, so that a few thousand connections that send a byte now
    and then would use up its file descriptors.
    """

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on; wait no longer than allowed for the rest of the headers."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._due is None:
            self._due = self.loop.call_later(HEADER_TIMEOUT_S, self._close)

    def _forget(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _close(self) -> None:
        self._due = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.close()


def configuration(app: FastAPI, settings: Settings, *, host: str, port: int) -> uvicorn.Config:
    """How uvicorn is to serve the service: no log of its own, no name of its own."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=ImpatientProtocol,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=settings.behind_proxy,
        timeout_graceful_shutdown=round(settings.stop_s) + 5,
        timeout_keep_alive=10,
    )


class Server(uvicorn.Server):
    """A server that says at once that it has been told to stop."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Remember to stop, and say so."""
        self._on_stop()
        super().handle_exit(sig, frame)
