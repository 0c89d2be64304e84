"""Errors as HTTP answers: a status, a code, a sentence and what to do; never internals."""

from __future__ import annotations

from dataclasses import dataclass

from ecg4u.errors import ECG4UError
from ecg4u.limits import computed_too_long, opened_too_long

STATUS_OF_CODE = {
    "usage": 422,
    "unreadable_input": 422,
    "not_an_ecg": 422,
    "poor_quality": 422,
    "bad_sidecar": 422,
    "missing_dependency": 415,
}


@dataclass(eq=False)
class Problem(Exception):
    """An answer that is not a result."""

    status: int
    code: str
    message: str
    hint: str = ""
    stage: str = ""
    retry_after_s: int | None = None

    def to_dict(self) -> dict[str, dict[str, str]]:
        """The body of the answer."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
                "stage": self.stage,
            }
        }

    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        headers = {"Cache-Control": "no-store"}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


INTERNAL = Problem(
    500,
    "internal",
    "Something went wrong inside ecg4u.",
    "Try again; if it happens again, report it.",
)
TOO_SLOW = Problem(
    422,
    "too_slow",
    "The page took longer than the time limit and was abandoned.",
    "Crop the picture to the ECG, or send it at a lower resolution.",
)
TOO_MUCH_MEMORY = Problem(
    422,
    "too_much_memory",
    "The page needs more memory than one analysis may use.",
    "Crop the picture to the ECG, or send it at a lower resolution.",
)
CRASHED = Problem(
    422,
    "crashed",
    "The page crashed the process that was reading it.",
    "Try again; if it happens again, photograph or export the page again.",
)
UNKNOWN_ID = Problem(
    404,
    "unknown_result",
    "There is no such result, or it has been deleted.",
    "Results are kept for a short time only; send the page again.",
)
NO_TOKEN = Problem(
    401,
    "no_token",
    "This service requires a token.",
    "Ask whoever runs the service for one, and send it as a bearer token.",
)
TOO_LARGE = Problem(
    413, "too_large", "The file is larger than this service accepts.", "Crop or shrink the picture."
)
TOO_SLOW_BODY = Problem(
    408, "slow_upload", "The upload stopped or was too slow.", "Send the page again."
)
WRONG_TYPE = Problem(
    415,
    "wrong_type",
    "This is not a picture or PDF that can be read.",
    "Send a PNG, JPEG, TIFF, BMP, WebP, HEIC or PDF file.",
)
EMPTY = Problem(422, "unreadable_input", "The file is empty.", "Choose the picture again.", "io")
BAD_REQUEST = Problem(
    422,
    "usage",
    "The request is not in the form that this service expects.",
    "Send the page as the multipart file 'image'; see /openapi.json.",
)
NOTHING_TO_CORRECT = Problem(
    422,
    "nothing_to_correct",
    "This page could not be read, so there is nothing on it to correct.",
    "Crop or turn the picture and send it again.",
)
NOT_EXPORTED = Problem(
    404,
    "not_exported",
    "This export was not requested when the page was sent.",
    "Send the page with the option exports: any of pdf, dicom, fhir.",
)
STOPPING = Problem(
    503,
    "stopping",
    "The service is stopping or restarting.",
    "Send the page again in a minute.",
    retry_after_s=30,
)


def problem_of(error: BaseException) -> Problem:
    """The answer to an error of an analysis."""
    from concurrent.futures import TimeoutError as FutureTimeout

    from pebble import ProcessExpired

    if isinstance(error, Problem):
        return error
    if isinstance(error, ECG4UError) and error.code in STATUS_OF_CODE:
        return Problem(
            STATUS_OF_CODE[error.code], error.code, error.message, error.hint, error.stage
        )
    if isinstance(error, FutureTimeout | TimeoutError):
        return TOO_SLOW
    if isinstance(error, MemoryError):
        return TOO_MUCH_MEMORY
    if isinstance(error, ProcessExpired):
        slow = computed_too_long(error.exitcode) or opened_too_long(error.exitcode)
        return TOO_SLOW if slow else CRASHED
    return INTERNAL
