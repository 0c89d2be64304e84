"""``ecg4u serve``."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ecg4u._options import FiniteRange, gathered, limit_options, quiet_option
from ecg4u.errors import MissingDependencyError, UsageError
from ecg4u.web.settings import Settings

if TYPE_CHECKING:
    from ecg4u.web.jobs import Jobs

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""A page on another site cannot reach a service here under a name of its own making."""
BACKLOG = 2048


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on.",
)
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Worker processes, each for one page at a time.",
)
@click.option(
    "--per-client",
    type=click.IntRange(1, 64),
    help="Uploads from one address processed at once. Default: one fewer than workers.",
)
@click.option(
    "--waiting",
    default=24,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="Uploads that may queue; further ones are asked to retry later.",
)
@limit_options
@click.option(
    "--max-upload-mb",
    "max_upload_bytes",
    callback=lambda _context, _option, megabytes: megabytes * 1_000_000,
    default=25,
    show_default=True,
    type=click.IntRange(1, 300),
    help="Largest upload accepted, in MB.",
)
@click.option(
    "--keep-minutes",
    "keep_s",
    callback=lambda _context, _option, minutes: 60 * minutes,
    default=15.0,
    show_default=True,
    type=FiniteRange(0.1, 10_000),
    help="How long a result stays in memory.",
)
@click.option(
    "--rate",
    "uploads_per_minute",
    default=60,
    show_default=True,
    type=click.IntRange(1),
    help="Uploads per minute from one address; further ones are asked to retry later.",
)
@click.option(
    "--token",
    envvar="ECG4U_TOKEN",
    show_envvar=True,
    help="Require this bearer token from every client. Safer to set in the environment.",
)
@click.option(
    "--insecure", is_flag=True, help="Listen beyond this machine without requiring a token."
)
@click.option(
    "--behind-proxy",
    is_flag=True,
    help="Trust X-Forwarded-For from a proxy on this machine, so that limits apply to its clients.",
)
@click.option(
    "--cors",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Origin allowed to call the API.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one object per line.",
)
@quiet_option
@gathered(Settings, "settings")
def serve(
    settings: Settings, host: str, port: int, insecure: bool, log_format: str, quiet: bool
) -> None:
    """Serve the web page and the API on this machine, or on the network with --host 0.0.0.0.

    Pages and results are kept only in memory and deleted after --keep-minutes.
    """
    import logging

    if host not in LOOPBACK and not settings.token and not insecure:
        raise UsageError(
            "Anyone who can reach this address could use the service.",
            stage="serve",
            hint="Set a token (ECG4U_TOKEN), or pass --insecure if the network itself is closed.",
        )

    check_packages("The service")
    settings = replace(
        settings,
        per_client=settings.per_client or max(1, settings.workers - 1),
        hosts=LOOPBACK if host in LOOPBACK else (),
    )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    if log_format == "json":
        from ecg4u.web.logs import JsonLines

        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())
    logging.getLogger("ecg4u.web").setLevel(logging.WARNING if quiet else logging.INFO)
    listener = listen(host, port)
    if not quiet:
        click.echo(f"ecg4u: http://{host}:{listener.getsockname()[1]}", err=True)
    answer(listener, settings, host, port)


def check_packages(what: str) -> None:
    """Raise a `MissingDependencyError` where ``what`` lacks a package."""
    try:
        from ecg4u.web import app, server  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            f"{what} needs FastAPI, uvicorn, python-multipart and pebble.",
            stage="serve",
            hint="pip install fastapi pebble python-multipart uvicorn (or ecg4u's extra [serve])",
        ) from None


def answer(
    listener: socket.socket, settings: Settings, host: str, port: int, jobs: Jobs | None = None
) -> None:
    """Serve until the process is told to end."""
    from ecg4u.web.app import create_app
    from ecg4u.web.server import Server, configuration

    app = create_app(settings, jobs=jobs)
    config = configuration(app, settings, host=host, port=port)
    Server(config, app.state.drain).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises
    ------
    UsageError
        If it cannot.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"Cannot listen on {host}:{port}: {error.strerror}.",
            stage="serve",
            hint="Choose another --port or --host, or stop the program that is listening there.",
        ) from None
