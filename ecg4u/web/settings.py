"""What can be set about the service."""

from __future__ import annotations

from dataclasses import dataclass

from ecg4u.limits import Limits


@dataclass(frozen=True)
class Settings(Limits):
    """Limits and doors of the service; the defaults suit one clinic on a machine of its own.

    A page that takes longer than `Limits` allow is given up, and its worker replaced.
    """

    workers: int = 2
    per_client: int = 1
    """Pages of one address that are worked on at once, so that others find a worker free."""
    waiting: int = 24
    """Uploads that may wait for a worker; more are told to come back (503)."""
    max_upload_bytes: int = 25_000_000
    max_json_bytes: int = 1_000_000
    """Of any request that is no upload."""
    body_timeout_s: float = 30.0
    """Longest pause within an upload, and a tenth of the longest upload."""
    keep_s: float = 900.0
    """How long a result stays in memory after it was made."""
    keep_results: int = 64
    keep_bytes: int = 80_000_000
    """Results beyond so many, or so much memory, are forgotten sooner, the oldest first."""
    stop_s: float = 20.0
    """How long the page that is being read may go on after the service was told to stop."""
    uploads_per_minute: int = 60
    """From one address."""
    behind_proxy: bool = False
    """Whether to believe what a proxy on this machine says of the client's address."""
    token: str | None = None
    """If set, every request but the page itself and /health needs it as a bearer token."""
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """If given, the only names by which the service answers: other sites' names are refused."""
