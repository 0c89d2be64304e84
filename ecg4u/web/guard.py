"""The door: limits on every request before anything reads it, and headers on every answer."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from ecg4u.web.metrics import Metrics
from ecg4u.web.problems import NO_TOKEN, TOO_LARGE, TOO_SLOW_BODY, UNKNOWN_ID, Problem
from ecg4u.web.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("ecg4u.web")

OVERHEAD_BYTES = 64 * 1024
"""What multipart boundaries and the other fields may add to a file."""
OPEN_PATHS = frozenset({"/", "/health", "/ready", "/sw.js", "/manifest.webmanifest"})
OPEN_PREFIX = "/static/"
UPLOAD_PATHS = frozenset({"/predict", "/v1/ecg"})
CORRECTION_PATH = re.compile(r"/v1/ecg/([^/]+)/correct")
MAX_ADDRESSES = 10_000
DISCARD_S = 10.0

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "geolocation=(), microphone=(), camera=(self)",
}
CLOSED_CSP = "default-src 'none'; frame-ancestors 'none'"


class Guard:
    """ASGI middleware: token, rate, body size, slow bodies, security headers, one log line.

    The log line holds the method, the route's template, the status and the time: no file name, no
    address, no id.
    """

    def __init__(
        self, app: ASGIApp, *, settings: Settings, metrics: Metrics, knows: Callable[[str], bool]
    ) -> None:
        self._app = app
        self._knows = knows
        self._settings = settings
        self._metrics = metrics
        self._uploads: OrderedDict[str, list[float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        body = _Body(receive, self._settings, self._max_bytes(scope["path"]))
        answer = _Answer(send, body)
        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await _refuse(refusal, answer.send, receive)
            else:
                await self._app(scope, body.receive, answer.send)
        except Problem as problem:
            if answer.status is None:
                await _refuse(problem, answer.send, receive)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            status = answer.status or 500
            self._metrics.requests[(_method(scope), route, status)] += 1
            milliseconds = 1000 * (time.perf_counter() - begun)
            said = {"method": _method(scope), "route": route, "status": status}
            log.info(
                "%s %s %d %.0f ms",
                *said.values(),
                milliseconds,
                extra={"request": {**said, "ms": round(milliseconds)}},
            )

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = dict(scope["headers"])
        if not self._admits(scope["path"], scope["method"], headers):
            return NO_TOKEN
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._max_bytes(scope["path"]):
            return TOO_LARGE
        correction = CORRECTION_PATH.fullmatch(scope["path"])
        if correction and not self._knows(correction[1]):
            return UNKNOWN_ID
        if scope["method"] == "POST":
            return self._rate(scope["client"][0] if scope.get("client") else "")
        return None

    def _max_bytes(self, path: str) -> int:
        """Of a request's body; no page is sent but to the paths of uploads."""
        if path in UPLOAD_PATHS:
            return self._settings.max_upload_bytes + OVERHEAD_BYTES
        return self._settings.max_json_bytes

    def _admits(self, path: str, method: str, headers: dict[bytes, bytes]) -> bool:
        token = self._settings.token
        if token is None or method == "OPTIONS" or path in OPEN_PATHS:
            return True
        if path.startswith(OPEN_PREFIX):
            return True
        given = headers.get(b"authorization", b"")
        return hmac.compare_digest(given, b"Bearer " + token.encode())

    def _rate(self, address: str) -> Problem | None:
        now = time.monotonic()
        recent = [at for at in self._uploads.pop(address, []) if now - at < 60]
        full = len(recent) >= self._settings.uploads_per_minute
        if not full:
            recent.append(now)
        self._uploads[address] = recent
        while len(self._uploads) > MAX_ADDRESSES:
            self._uploads.popitem(last=False)
        if not full:
            return None
        wait = max(1, round(60 - (now - recent[0])))
        return Problem(
            429,
            "too_many",
            "Too many uploads from this address.",
            f"Wait {wait} s.",
            retry_after_s=wait,
        )


class _Body:
    """A request's body, watched for size and pace."""

    def __init__(self, receive: Receive, settings: Settings, max_bytes: int) -> None:
        self._receive = self.rest = receive
        self._settings = settings
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._deadline = time.monotonic() + 10 * settings.body_timeout_s
        self._over = False
        self.problem: Problem | None = None

    async def receive(self) -> Message:
        """The next message; raises a `Problem` where the body is too large or too slow."""
        if self._over:
            return await self._receive()
        left = min(self._settings.body_timeout_s, self._deadline - time.monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.01))
        except TimeoutError:
            raise self._refused(TOO_SLOW_BODY) from None
        if message["type"] == "http.request":
            self._n_bytes += len(message.get("body", b""))
            self._over = not message.get("more_body", False)
            if self._n_bytes > self._max_bytes:
                raise self._refused(TOO_LARGE)
        return message

    def _refused(self, problem: Problem) -> Problem:
        self.problem = problem
        return problem


class _Answer:
    """An answer on its way out, with the headers that all answers have.

    What reads the body may turn a refusal of it into an answer of its own; the refusal wins.
    """

    def __init__(self, send: Send, body: _Body) -> None:
        self._send = send
        self._body = body
        self._replaced = False
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            problem = self._body.problem
            if problem is not None and message["status"] != problem.status:
                await _refuse(problem, self.send, self._body.rest)
                self._replaced = True
                return
            self.status = message["status"]
            message = {**message, "headers": _with_headers(message["headers"])}
        await self._send(message)


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return scope["method"] if scope["method"] in known else "OTHER"


def _with_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = {name.lower() for name, _ in headers}
    extra = {**HEADERS, "content-security-policy": CLOSED_CSP}
    return [
        *headers,
        *((k.encode(), v.encode()) for k, v in extra.items() if k.encode() not in given),
    ]


async def _discard(receive: Receive) -> None:
    """Read on for a while: a client that is still sending hears no answer on a closed line."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while True:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return


async def _refuse(problem: Problem, send: Send, receive: Receive) -> None:
    if problem.status == 413:
        await _discard(receive)
    body = json.dumps(problem.to_dict()).encode()
    headers = {
        **problem.headers(),
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    if problem.status in (408, 413):
        headers["Connection"] = "close"
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
