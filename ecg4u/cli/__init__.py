"""The command line: ``ecg4u digitize | classify | explain | report | draw | compare | ...``.

Data go to stdout, words about them to stderr.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from ecg4u._version import __version__
from ecg4u.errors import ECG4UError
from ecg4u.limits import is_out_of_memory, too_much_memory, where

COMMANDS = {
    "digitize": ("ecg4u.cli.read", "digitize", "Turn pages into calibrated signals."),
    "classify": ("ecg4u.cli.read", "classify", "List likely findings, most urgent first."),
    "explain": (
        "ecg4u.cli.read",
        "explain",
        "Explain an ECG in words, with measurements and reasons.",
    ),
    "report": ("ecg4u.cli.read", "report", "Write signals, result.json and report.html."),
    "draw": ("ecg4u.cli.draw", "draw", "Draw a record as an ECG page (PNG)."),
    "compare": ("ecg4u.cli.compare", "compare", "Score a digitized record against the original."),
    "info": ("ecg4u.cli.info", "info", "Show versions and models, or what a file contains."),
    "batch": ("ecg4u.batch.command", "batch", "Process many pages; can be resumed."),
    "watch": ("ecg4u.batch.watch", "watch", "Process whatever arrives in a folder."),
    "fix": ("ecg4u.web.fix", "fix", "Correct the reading of a page in the browser."),
    "serve": ("ecg4u.web.command", "serve", "Run the web page and the HTTP API."),
}
"""Module, attribute and help of each command: a module is imported when its command is called."""
NOTICE = "Research and teaching aid, not a medical device."
INTERRUPTED = 130
FROM_SHELL = object()
"""Marks a call by `main`, whose process is the command's own."""


class _Commands(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, _, words) in COMMANDS.items()])


@click.group(cls=_Commands, epilog=NOTICE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ecg4u")
def cli() -> None:
    """From a paper ECG to twelve signals, likely findings and reasons a doctor can check."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point: a typed error becomes a line, a remedy and its exit code."""
    for stream in (sys.stdout, sys.stderr):  # the name of a file need not be valid text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = None if argv is None else list(argv)
    try:
        code = exit_code(lambda: cli.main(arguments, standalone_mode=False, obj=FROM_SHELL))
    except KeyboardInterrupt:  # while an error was said
        code = INTERRUPTED
    sys.exit(code)


def exit_code(call: Callable[[], Any], name: str = "") -> int:
    """0, or the code of what ``call`` raises, once that was said (after the ``name`` of the input
    where there are several)."""
    try:
        code = call()
        return code if isinstance(code, int) else 0
    except ECG4UError as error:
        return say_error(error, name)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:  # the reader, head for instance, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if is_out_of_memory(error):
            return say_error(too_much_memory(), name)
        if isinstance(error, OSError):  # a path that the system refuses
            from ecg4u.io.files import from_os_error

            return say_error(from_os_error(error), name)
        if os.environ.get("ECG4U_DEBUG"):
            raise
        hint = "Please report it, with the traceback shown when ECG4U_DEBUG=1 is set."
        return say_error(ECG4UError(f"An internal error: {where(error)}.", hint=hint), name)


def say_error(error: ECG4UError, name: str = "") -> int:
    """An error and its remedy on stderr, after the name of the input where there are several.

    Returns the exit code.
    """
    from ecg4u.words import printable

    subject = f"{printable(name)}: " if name else ""
    click.echo(f"error: {subject}{error.message}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    return error.exit_code


if __name__ == "__main__":
    main()
