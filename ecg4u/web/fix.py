"""``ecg4u fix``: one page in the browser's correction; what is corrected becomes its sidecar."""

from __future__ import annotations

import asyncio
import json
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecg4u._options import limit_options
from ecg4u.errors import SidecarError, UsageError
from ecg4u.web import worker

if TYPE_CHECKING:
    from ecg4u.web.jobs import Jobs, Work
    from ecg4u.web.settings import Settings

HOST = "127.0.0.1"
KEEP_S = 24 * 3600.0
"""A person may be called away between two corrections."""


@click.command()
@click.argument("page", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--sidecar", type=click.Path(path_type=Path),
              help="Sidecar to continue from and write. Default: PAGE as .page.json.")  # fmt: skip
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Default: any free port.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@limit_options
def fix(
    page: Path,
    sidecar: Path | None,
    port: int,
    no_browser: bool,
    timeout_s: float,
    memory_mb: int,
) -> None:
    """Correct how PAGE was read: names, traces, corners, scale. Stop with Ctrl-C.

    Every correction you apply is written to the sidecar, which digitize, classify, explain and
    report read with --sidecar, and batch with --sidecars.
    """
    from ecg4u.digitize.sidecar.model import sidecar_path
    from ecg4u.web.command import answer, check_packages, listen

    check_packages("The correction page")
    from ecg4u.web.settings import Settings

    target = sidecar or sidecar_path(page.with_suffix(""))
    listener = listen(HOST, port)
    start = f"http://{HOST}:{listener.getsockname()[1]}/?fix#"

    def announce(identifier: str) -> None:
        click.echo(f"{start}{identifier}", err=True)
        click.echo(f"Corrections are written to {target}; stop with Ctrl-C.", err=True)
        if not no_browser:
            webbrowser.open(start + identifier)

    settings = Settings(
        workers=1, timeout_s=timeout_s, memory_mb=memory_mb, keep_s=KEEP_S, hosts=(HOST,)
    )
    answer(listener, settings, HOST, port, of_one_page(page, target, settings, announce))


def of_one_page(
    page: Path,
    target: Path,
    settings: Settings,
    announce: Callable[[str], None],
    *,
    work: Work = worker.work,
    warm_up: Callable[[], None] = worker.warm_up,
) -> Jobs:
    """A queue that begins with ``page`` and writes what is corrected to ``target``.

    ``announce`` is told the page's id once the service is open; ``work`` and ``warm_up`` are those
    of `Jobs`.

    Raises
    ------
    UsageError
        If ``page`` is none, or ``target`` is the sidecar of another page.
    """
    from ecg4u.io.files import read_bytes
    from ecg4u.io.pages import MAX_FILE_BYTES
    from ecg4u.web.jobs import Job, Jobs
    from ecg4u.web.metrics import Metrics
    from ecg4u.web.sniff import is_page

    data = read_bytes(page, max_bytes=MAX_FILE_BYTES)
    if not is_page(data):
        raise UsageError(
            "This is not a page: only pages can be corrected.",
            stage="serve",
            hint="Give a picture or a PDF.",
        )
    earlier = _earlier(target, data)

    class OfOnePage(Jobs):
        """The page is the first job; corrected readings leave their sidecar."""

        def open(self) -> None:
            super().open()
            options: dict[str, Any] = {"explain": True, "exports": ["pdf"]}
            if earlier is not None:
                options["sidecar"] = earlier
            first = self.submit(data, options, HOST)
            asyncio.get_running_loop().run_in_executor(None, announce, first.id)

        async def _work_on(self, job: Job) -> None:
            await super()._work_on(job)
            if job.outcome is not None and "correction" in job.options:
                _leave(target, job.outcome.sidecar)

    return OfOnePage(settings, Metrics(), work=work, warm_up=warm_up)


def _earlier(target: Path, data: bytes) -> bytes | None:
    """The sidecar that is there already, if it is this page's."""
    import hashlib

    from ecg4u.digitize.sidecar.model import Sidecar

    if not target.exists():
        return None
    found = Sidecar.from_json(target)
    if found.page_sha256 != hashlib.sha256(data).hexdigest():
        raise SidecarError(
            f"{target.name} belongs to another page.", hint="Choose another one with --sidecar."
        )
    return target.read_bytes()


def _leave(target: Path, sidecar: bytes) -> None:
    from ecg4u.io import write_atomically

    text = json.dumps(json.loads(sidecar), indent=1, ensure_ascii=False) + "\n"
    write_atomically(target, text)
    click.echo(f"written: {target}", err=True)
