"""Analyses that stand in for the real one, so that the service itself can be tried quickly.

A page says what is to happen to it by its second pixel row; see `page`.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from typing import Any

from PIL import Image

from ecg4u.errors import NotAnECGError, UnreadableInputError
from ecg4u.model import Classification, ClassResult
from ecg4u.record import CLASSES
from ecg4u.web.worker import Outcome

ACTS = ("answer", "refuse", "hang", "die", "break", "hog", "slow", "report")
PLANTED = "DOE^JANE 1950-01-01 +52.0907N"
"""A name, a date and a place that must come out nowhere."""


def page(act: str = "answer") -> bytes:
    """A PNG that makes `work` do ``act``; its text chunk holds what must not come out."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("PatientName", PLANTED)
    stream = io.BytesIO()
    colour = (ACTS.index(act), 7, 7)
    Image.new("RGB", (4, 4), colour).save(stream, format="PNG", pnginfo=info)
    return stream.getvalue()


def work(slot: int, data: bytes, options: Mapping[str, Any]) -> Outcome:
    """What the page asks for."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            act = ACTS[image.convert("RGB").getpixel((0, 0))[0]]
    except (OSError, SyntaxError):
        raise UnreadableInputError("Truncated.", stage="io", hint="Send it again.") from None
    if act == "refuse":
        raise NotAnECGError("No ECG.", stage="grid", hint="Photograph the page.")
    if act == "hang":
        time.sleep(60)
    if act == "die":
        os._exit(9)
    if act == "break":
        raise RuntimeError(f"/secret/path {PLANTED}")
    if act == "hog":
        bytearray(3_000_000_000)
    if act == "slow":
        time.sleep(0.3)
    rows = tuple(
        ClassResult(n, 0.9 if n == "AF" else 0.1, 0.5, n == "AF", 0.9, 0.9) for n in CLASSES
    )
    said = Classification(rows, "ok", (), "stand-in")
    result = {"options": dict(options), "classification": said.to_dict()}
    words = report() if act == "report" else "<!doctype html><title>report</title>"
    return Outcome(result, words, b"PK", b"I,II\n", 0.01)


def report() -> str:
    """A report of a made-up record with one sentence that points at the trace."""
    import numpy as np

    from ecg4u.analysis import Analysis
    from ecg4u.explain.result import Evidence, Explanation, Features, Sentence
    from ecg4u.record import ECGRecord
    from ecg4u.report import render

    signal = np.sin(np.arange(5000)[:, None] / 40) * np.ones(12)
    place = Evidence("V1", 7.0, 7.4)
    reading = (Sentence("Rhythm", "Look at V1.", (place,)), Sentence("Rate", "No place."))
    explanation = Explanation(Features({}, {}, (), ()), (), (), reading, ())
    return render(Analysis(ECGRecord(signal), explanation=explanation))


def warm_up() -> None:
    """Nothing to warm."""
