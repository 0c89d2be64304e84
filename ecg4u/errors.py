"""The typed errors of ecg4u: each says where it arose, what to do, and how the process should exit.

Exit codes follow OCRmyPDF's habit of one code per kind of failure, so that scripts can tell an
unreadable file from a page that is no ECG.
"""

from __future__ import annotations

from typing import ClassVar


class ECG4UError(Exception):
    """Base of every error that ecg4u raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, in a sentence. Never holds text read from the page.
    stage : str
        The stage of the pipeline that refused, e.g. ``"io"`` or ``"grid"``.
    hint : str
        What the user can do about it.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, stage: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.stage, self.hint)

    def to_dict(self) -> dict[str, str | int]:
        """The error as plain values: ``code``, ``message``, ``stage``, ``hint``, ``exit_code``."""
        return {
            "code": self.code,
            "message": self.message,
            "stage": self.stage,
            "hint": self.hint,
            "exit_code": self.exit_code,
        }


def _rebuild(kind: type[ECG4UError], message: str, stage: str, hint: str) -> ECG4UError:
    return kind(message, stage=stage, hint=hint)


class UsageError(ECG4UError):
    """An option or argument that makes no sense."""

    exit_code = 2
    code = "usage"


class WrongTypeError(UsageError, TypeError):
    """An argument of the wrong type, e.g. text instead of a number."""


class UnreadableInputError(ECG4UError):
    """The file is missing, empty, truncated, too large or not of a known format."""

    exit_code = 3
    code = "unreadable_input"


class InvalidRecordError(UnreadableInputError, ValueError):
    """Samples, a sampling rate or an age that no ECG can have."""


class NotAnECGError(ECG4UError):
    """The file is readable but shows no ECG that can be digitized, or the record is not an ECG."""

    exit_code = 4
    code = "not_an_ecg"


class PoorQualityError(ECG4UError):
    """It is an ECG, but too poor (or its scale is unknown) to be read without guessing."""

    exit_code = 4
    code = "poor_quality"


class SidecarError(ECG4UError):
    """A sidecar (what was found on a page, perhaps edited) is damaged or of another page."""

    exit_code = 3
    code = "bad_sidecar"


class OutputError(ECG4UError):
    """The result cannot be written."""

    exit_code = 5
    code = "output"


class MissingDependencyError(ECG4UError):
    """An optional package that is needed for this is not installed."""

    exit_code = 6
    code = "missing_dependency"


class BatchFailuresError(ECG4UError):
    """A batch ran to its end, but some of its inputs failed."""

    exit_code = 7
    code = "batch_failures"
