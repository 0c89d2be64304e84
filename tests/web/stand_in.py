"""Analyses that stand in for the real one, so that the service itself can be tried quickly.

A page says what is to happen to it by its second pixel row; see `page`.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ecg4u import cores
from ecg4u.errors import NotAnECGError, UnreadableInputError
from ecg4u.model import Classification, ClassResult
from ecg4u.record import CLASSES
from ecg4u.report.exports import FILES
from ecg4u.web.pageview import page_view, picture
from ecg4u.web.worker import Outcome, leave_early

ACTS = (
    *("answer", "refuse", "hang", "spin", "die", "break", "hog"),
    *("slow", "slower", "report", "streams"),
)
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
    while act == "spin":
        pass
    if act == "die":
        os._exit(9)
    if act == "break":
        raise RuntimeError(f"/secret/path {PLANTED}")
    if act == "hog":
        bytearray(3_000_000_000)
    if act == "slow":
        time.sleep(0.3)
    if act == "slower":
        time.sleep(1.5)
    if act == "streams":
        leave_early(slot, "picture", picture(np.full((200, 400, 3), 250, np.uint8)))
        leave_early(slot, "view", json.dumps(page_view(PAGE)).encode())
        lines = [{"kind": "class", "title": "Atrial fibrillation", "certainty": "likely"}]
        leave_early(slot, "summary", json.dumps(lines).encode())
        go_on = Path(tempfile.gettempdir()) / "go-on"
        until = time.monotonic() + 60
        while not go_on.exists() and time.monotonic() < until:
            time.sleep(0.05)
    rows = tuple(
        ClassResult(n, 0.9 if n == "AF" else 0.1, 0.5, n == "AF", 0.9, 0.9) for n in CLASSES
    )
    said = Classification(rows, "ok", (), "stand-in")
    known = {name: value for name, value in options.items() if name != "sidecar"}
    result = {"options": known, "classification": said.to_dict(), "cores": cores._count}
    words = report() if act == "report" else "<!doctype html><title>report</title>"
    view = page_view(PAGE)
    return Outcome(
        json.dumps(result).encode(),
        words.encode(),
        b"PK",
        b"I,II\n",
        0.01,
        sidecar=json.dumps(PAGE).encode(),
        view=json.dumps(view).encode(),
        picture=picture(np.full((200, 400, 3), 250, np.uint8)),
        exports={
            name: name.encode() for kind in options.get("exports", ()) for name in FILES[kind]
        },
    )


def _segment(row: int, column: int, lead: str) -> dict[str, Any]:
    x0, y0 = 20 + 90 * column, 40 + 50 * row
    return {
        "id": f"{row + 1}.{column + 1}",
        "lead": lead,
        "named_by": "label",
        "probability": 0.9,
        "row": row + 1,
        "rhythm": False,
        "start_s": 2.5 * column,
        "duration_s": 2.5,
        "box": [x0, y0 - 10, x0 + 90, y0 + 10],
        "polyline": [[x0 + i, y0 + 8 * np.sin(i / 5)] for i in range(90)],
    }


ORDER = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
PAGE: Mapping[str, Any] = {
    "schema": "ecg4u.page/1",
    "page": {"sha256": "", "number": 1, "width": 400, "height": 200},
    "corners": [[10, 10], [390, 10], [390, 190], [10, 190]],
    "calibration": {"gain_mm_per_mv": 10.0, "speed_mm_per_s": 25.0},
    "layout": {"name": "3x4", "confidence": 0.9},
    "segments": [
        _segment(row, column, lead)
        for row, leads in enumerate(ORDER)
        for column, lead in enumerate(leads)
    ],
}
"""What a sidecar says of a small page with three rows of four leads."""


def report() -> str:
    """A report of a made-up record with one sentence that points at the trace."""
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
    """Nothing to warm; the private folder tells which worker was asked."""
    time.sleep(0.5)
    (Path(tempfile.gettempdir()) / f"warm-{os.getpid()}").touch()
