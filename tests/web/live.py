"""A service that listens on a port, with stand-in analyses, in a thread of this process."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import stand_in

from ecg4u.web import create_app
from ecg4u.web.jobs import Jobs
from ecg4u.web.metrics import Metrics
from ecg4u.web.server import Server, configuration
from ecg4u.web.settings import Settings


class Live:
    """A running service; ``stop`` does what SIGTERM does."""

    def __init__(self, settings: Settings) -> None:
        metrics = Metrics()
        self.jobs = Jobs(settings, metrics, work=stand_in.work, warm_up=stand_in.warm_up)
        app = create_app(settings, jobs=self.jobs, metrics=metrics)
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        config = configuration(app, settings, host="127.0.0.1", port=self.address[1])
        self._server = Server(config, app.state.drain)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}
        )
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)

    def stop(self) -> None:
        """Tell it to stop."""
        self._server.handle_exit(signal.SIGTERM, None)

    def join(self) -> None:
        """Wait until it has stopped."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._listener.close()

    def say(self, *parts: bytes, pause_s: float = 0.0, timeout_s: float = 20.0) -> bytes:
        """Send bytes, with pauses between the parts; everything that comes back."""
        heard = b""
        with socket.create_connection(self.address, timeout=timeout_s) as line:
            try:
                for part in parts:
                    line.sendall(part)
                    time.sleep(pause_s)
                while piece := line.recv(1 << 16):
                    heard += piece
            except (ConnectionResetError, BrokenPipeError):
                pass
        return heard


@contextmanager
def live(settings: Settings) -> Iterator[Live]:
    """A running service, stopped at the end."""
    running = Live(settings)
    try:
        yield running
    finally:
        running.stop()
        running.join()
