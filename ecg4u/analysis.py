"""The whole way on one input: page or record -> signals -> classes -> reasons.

`Analysis.to_dict` is ``result.json``: the command line, the batch and the web page all give this
one object.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecg4u.arguments import check_names, wrong
from ecg4u.errors import UsageError
from ecg4u.messages import as_data, message
from ecg4u.options import ReadOptions
from ecg4u.record import ECGRecord

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ecg4u.digitize.result import Digitization
    from ecg4u.explain import Explanation
    from ecg4u.explain.summary import Line
    from ecg4u.model import Classification, Classifier
    from ecg4u.options import SidecarSource
    from ecg4u.sources import ECGSource

SCHEMA = "ecg4u.result/1"
SIGNIFICANT_DIGITS = 6
"""Of numbers that are written; the next ones depend on the machine."""
NOTICE = (
    "Research and teaching aid, not a medical device. "
    "It can be wrong; a clinician must read the ECG."
)


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything found out about one ECG; what was not asked for is None."""

    record: ECGRecord
    digitization: Digitization | None = None
    classification: Classification | None = None
    explanation: Explanation | None = None
    warnings: tuple[str, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def summary(self) -> tuple[Line, ...]:
        """What to read first: urgent findings, classes, other findings, doubts."""
        from ecg4u.explain.summary import summarize

        return summarize(self.classification, self.explanation, self.digitization)

    def __repr__(self) -> str:
        grade = f", page {self.digitization.grade}" if self.digitization else ""
        found = f", {self.classification!r}" if self.classification else ""
        return f"<Analysis of {self.record!r}{grade}{found}>"

    def _repr_html_(self) -> str:
        from ecg4u.notebook import list_html

        own = tuple(w for w in self.warnings if w not in self.record.warnings)
        parts = [part for part in (self.classification, self.explanation) if part is not None]
        first = list_html([str(line) for line in self.summary])
        shown = (self.record, *parts)
        return "".join([first, list_html(own), *(part._repr_html_() for part in shown)])

    def plot(self, *, leads: Sequence[str] | None = None, start_s: float = 0.0) -> Axes:
        """Draw the leads on ECG paper; see `ECGRecord.plot`."""
        return self.record.plot(leads=leads, start_s=start_s)

    def to_dataframe(self) -> pd.DataFrame:
        """The measurements as a table; see `Explanation.to_dataframe`.

        Raises
        ------
        UsageError
            If the ECG was not explained.
        """
        if self.explanation is None:
            raise UsageError(
                "Nothing was measured.", stage="explain", hint="Analyse with explain=True."
            )
        return self.explanation.to_dataframe()

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: no NaN, no arrays, no text of the page.

        Timings are left out and numbers rounded, so that a rerun gives the same result.
        """
        return _plain(
            {
                "schema": SCHEMA,
                "notice": NOTICE,
                "versions": versions(),
                "source": {
                    "sha256": self.record.provenance.source_sha256,
                    "kind": self.record.provenance.kind,
                    "inferred": list(self.record.provenance.inferred),
                },
                "record": {
                    "fs": self.record.fs,
                    "n_samples": self.record.n_samples,
                    "units": self.record.units,
                    "sig_name": list(self.record.sig_name),
                    "coverage": self.record.coverage(),
                },
                "summary": [asdict(line) for line in self.summary],
                "digitization": self.digitization and self.digitization.to_dict(),
                "classification": self.classification and self.classification.to_dict(),
                "explanation": self.explanation and self.explanation.to_dict(),
                "warnings": list(self.warnings),
                "messages": as_data(self.warnings),
            }
        )


def check_analysis(value: object) -> None:
    """Raise WrongTypeError if ``value`` is not an `Analysis` with a record."""
    if not hasattr(value, "record"):
        raise wrong("analysis", "an ecg4u.Analysis", value, "Give what ecg4u.analyse returns.")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
    return value


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of the packages that the numbers depend on."""
    import platform
    from importlib.metadata import version

    from ecg4u._version import __version__

    packages = ("numpy", "scipy", "opencv-python", "torch")
    return {
        "ecg4u": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def analyse(
    source: ECGSource,
    *,
    page: int = 1,
    classify: bool = True,
    explain: bool = True,
    classes: Sequence[str] | None = None,
    classifier: Classifier | None = None,
    neurokit: bool = False,
    gain_mm_per_mv: float | None = None,
    speed_mm_per_s: float | None = None,
    dpi: float | None = None,
    sidecar: SidecarSource | None = None,
    age: float | None = None,
    sex: Literal["F", "M"] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    so_far: Callable[[Analysis], None] | None = None,
) -> Analysis:
    """Digitize (unless it is a record already), classify and explain.

    Parameters
    ----------
    source
        An `ECGRecord`, the path of a record file, or a page: path or bytes of an image or PDF, a
        `Page`, a PIL image or an array of pixels.
    classifier
        The classifier to use, for instance your own; by default the shipped one.
    progress
        Called with the name of each stage as it begins.
    so_far
        Called with the partial result once the page is read, and again once it is classified.
    page, classify, explain, classes, neurokit, gain_mm_per_mv, speed_mm_per_s, dpi, sidecar, age, \
    sex, seed
        See `ecg4u.options.ReadOptions`.

    Raises
    ------
    ECG4UError
        If the input cannot be read, is not an ECG, or is too poor.
    """
    if classes is not None:
        check_names("classes", classes)
    options = ReadOptions(
        page,
        gain_mm_per_mv,
        speed_mm_per_s,
        dpi,
        sidecar,
        age,
        sex,
        classify,
        explain,
        None if classes is None else tuple(classes),
        neurokit,
        seed,
    )
    return read(source, options, classifier=classifier, progress=progress, so_far=so_far)


def read(
    source: ECGSource,
    options: ReadOptions,
    *,
    classifier: Classifier | None = None,
    progress: Callable[[str], None] | None = None,
    so_far: Callable[[Analysis], None] | None = None,
) -> Analysis:
    """Like `analyse`, with the options in one object."""
    from ecg4u.sources import load

    if classifier is not None and not hasattr(classifier, "classify"):
        raise wrong(
            "classifier", "an ecg4u.Classifier", classifier, "For instance Classifier(path)."
        )
    note = progress or (lambda stage: None)
    tell = so_far or (lambda known: None)
    timings: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        timings[stage] = round(now - clock, 3)
        clock = now

    digitization = classification = explanation = None
    note("read")
    loaded = load(source, page=options.page)
    lap("read")
    if isinstance(loaded, ECGRecord):
        if options.sidecar is not None:
            raise UsageError(
                "A sidecar belongs to a page, but this is a signal record.",
                stage="read",
                hint="Give the page that the sidecar was made from.",
            )
        record = loaded
    else:
        from ecg4u.digitize.pipeline import digitize_page

        note("digitize")
        digitization = digitize_page(loaded, options)
        record = replace(digitization.record, warnings=digitization.warnings)
        lap("digitize")
    record = replace(
        record,
        age=record.age if options.age is None else options.age,
        sex=record.sex if options.sex is None else options.sex,
    )
    if digitization is not None:
        tell(Analysis(record, digitization))
    if options.classify:
        from ecg4u.model import classify as run_classifier

        note("classify")
        classification = (
            run_classifier(record) if classifier is None else classifier.classify(record)
        )
        lap("classify")
        tell(Analysis(record, digitization, classification))
    if options.explain and classification is not None:
        from ecg4u.explain import explain as run_explanation

        note("explain")
        explanation = run_explanation(
            record,
            classification,
            classes=options.classes,
            classifier=classifier,
            neurokit=options.neurokit,
            seed=options.seed,
        )
        lap("explain")
    warnings = _assumed(record) if digitization is None else digitization.warnings
    return Analysis(record, digitization, classification, explanation, warnings, timings)


def _assumed(record: ECGRecord) -> tuple[str, ...]:
    """What a record file, or the page that it was once read from, did not tell."""
    inferred = "; ".join(record.provenance.inferred)
    return (message("assumed", what=inferred),) if inferred else ()
