"""`Classifier`: nine calibrated probabilities, each with its threshold and operating point."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ecg4u.arguments import check_path
from ecg4u.errors import MissingDependencyError, UnreadableInputError
from ecg4u.io.files import check_regular, read_bytes
from ecg4u.messages import as_data, message
from ecg4u.model.aggregate import over_windows
from ecg4u.model.checks import SignalCheck, check, page_doubts
from ecg4u.model.prepare import prepare
from ecg4u.record import CLASSES, ECGRecord
from ecg4u.words import SIGNAL

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from ecg4u.sources import ECGSource

WEIGHTS = Path(__file__).parent / "weights"
NORMAL = "Normal"
CARD_NAME = "classifier.json"
_MAX_CARD_BYTES = 10_000_000
_MAX_WEIGHTS_BYTES = 2_000_000_000
"""Hundreds of times those that ship."""
BATCH = 64
CLOSE = 0.3
"""Log-odds within which a probability is close to its threshold, which makes a class doubtful.

So close is some class in 13 % of the recordings of train and valid, out of fold, and 47 % of those
decisions are wrong by their label, against 3 % of the others.
"""

Verdict = Literal["ok", "uncertain", "unreadable"]
Call = Literal["likely", "possible", "unlikely"]


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold probability, with the sensitivity and specificity measured at it."""

    threshold: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class ClassResult:
    """One class or other finding, judged on its own: several can be present.

    ``probability`` is calibrated on recordings that the networks had not learned from (the card
    says which); the sensitivities and specificities were measured on the same ones. ``positive``
    means that it reaches ``threshold``, the point that rules in (``sensitivity``,
    ``specificity``); ``rule_out`` is the lower point that most recordings with the finding reach.

    ``call`` says both at once: "likely" (``positive``), "possible" (reaches ``rule_out`` only) or
    "unlikely"; None if the signal cannot be read. Normal is never positive together with another
    class, whatever its probability.
    """

    name: str
    probability: float
    threshold: float
    positive: bool
    sensitivity: float
    specificity: float
    rule_out: OperatingPoint | None = None
    call: Call | None = None

    @property
    def close(self) -> bool:
        """Whether the probability is within `CLOSE` of its threshold, on either side."""
        odds = self.probability * (1 - self.threshold)
        bar = self.threshold * (1 - self.probability)
        return max(odds, bar) < math.exp(CLOSE) * min(odds, bar)


@dataclass(frozen=True)
class Classification:
    """The nine classes in the order of `CLASSES`, and whether they can be relied on.

    ``verdict`` is ``"unreadable"`` if the signal cannot be classified (flat, noise, too short;
    then no class is positive and the probabilities mean nothing), ``"uncertain"`` if there are
    reasons not to rely on the classes, otherwise ``"ok"``; ``reasons`` lists them. ``warnings``
    are those of the page, if there was one. ``classification["AF"]`` is the result of one class.

    ``other_findings`` are those beyond the nine classes that the weights detect well enough, in
    the order of the card; a finding that is not among them was not looked for.
    """

    results: tuple[ClassResult, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    model: str
    other_findings: tuple[ClassResult, ...] = ()
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ClassResult:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(f"{name!r} is not one of {', '.join(r.name for r in self.results)}")

    @property
    def probabilities(self) -> dict[str, float]:
        """Calibrated probability of each class."""
        return {result.name: result.probability for result in self.results}

    @property
    def positive(self) -> tuple[ClassResult, ...]:
        """The classes that reach their threshold."""
        return tuple(result for result in self.results if result.positive)

    @property
    def positive_findings(self) -> tuple[ClassResult, ...]:
        """The other findings that reach their threshold."""
        return tuple(result for result in self.other_findings if result.positive)

    @property
    def abnormal(self) -> float | None:
        """Calibrated probability that the ECG is not Normal; None where it cannot be read."""
        normal = next((result for result in self.results if result.name == NORMAL), None)
        return None if normal is None or self.verdict == "unreadable" else 1 - normal.probability

    @property
    def nothing_found(self) -> bool:
        """Whether it can be read and nothing is positive, except perhaps Normal."""
        found = [*self.positive, *self.positive_findings]
        return self.verdict != "unreadable" and all(result.name == NORMAL for result in found)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for result.json."""
        return {
            "classes": [asdict(result) for result in self.results],
            "other_findings": [asdict(result) for result in self.other_findings],
            "abnormal": self.abnormal,
            "nothing_found": self.nothing_found,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "messages": as_data(self.reasons),
            "model": self.model,
        }

    def to_dataframe(self) -> pd.DataFrame:
        """One row per class, indexed by its name: probability, threshold, positive, close ..."""
        import pandas as pd

        rows = [asdict(result) | {"close": result.close} for result in self.results]
        return pd.DataFrame(rows).set_index("name")

    def __repr__(self) -> str:
        found = ", ".join(f"{r.name} {r.probability:.2f}" for r in self.positive) or "none"
        return f"<Classification: {found}; signal {SIGNAL[self.verdict]}>"

    def _repr_html_(self) -> str:
        from ecg4u.notebook import list_html, table_html

        rows = [
            (r.name, f"{r.probability:.3f}", f"{r.threshold:.3f}", "found" if r.positive else "")
            for r in self.results
        ]
        table = table_html(("Class", "Probability", "Threshold", ""), rows)
        return table + list_html(self.reasons + self.warnings)


class Classifier:
    """Loads the networks once and then classifies any number of records.

    Parameters
    ----------
    weights : path, optional
        A folder with ``classifier.json`` and the files it names; by default the shipped weights.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.

    Raises
    ------
    UnreadableInputError
        If the weights are missing or damaged.
    MissingDependencyError
        If torch or safetensors is not installed.
    """

    def __init__(self, weights: Path | None = None, *, device: str = "cpu") -> None:
        if weights is not None:
            check_path("weights", weights, "Give the folder that holds classifier.json.")
        folder = WEIGHTS if weights is None else Path(weights)
        try:
            self._set_up(folder, device)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
            raise _bad_card(folder) from None

    def _set_up(self, folder: Path, device: str) -> None:
        """Take all from the card that answers need; raises what its wrong shape makes it raise."""
        self.card = _read_card(folder)
        self.classes: tuple[str, ...] = tuple(self.card["classes"])
        self.findings: tuple[str, ...] = tuple(self.card.get("findings", ()))
        self.outputs = (*self.classes, *self.findings)
        self.device = device
        self._members = _load(folder, self.card["members"], device)
        calibration = [self.card["calibration"][name] for name in self.outputs]
        self._scale = np.array([c["scale"] for c in calibration])
        self._bias = np.array([c["bias"] for c in calibration])
        self._thresholds = {name: float(self.card["thresholds"][name]) for name in self.outputs}
        self._points = {name: self.card["operating_points"][name] for name in self.outputs}

    def classify(self, record: ECGRecord) -> Classification:
        """Classify one record of any length and rate (at least 80 Hz).

        A record longer than 10 s is read in windows; see `ecg4u.model.aggregate`.

        Raises
        ------
        UnreadableInputError
            If its rate or length is beyond what a record can be.
        """
        return self.classify_batch([record])[0]

    def classify_batch(self, records: Sequence[ECGRecord]) -> list[Classification]:
        """Classify several records together, which is faster than one by one."""
        records = list(records)
        inputs = [prepare(record) for record in records]
        if not inputs:
            return []
        windows = [model_input.windows() for model_input in inputs]
        ends = np.cumsum([len(w) for w in windows])
        logits, alike = self._read(np.concatenate(windows))
        odds = logits.mean(axis=0) * self._scale + self._bias
        parts = np.split(odds, ends[:-1]), np.split(alike, ends[:-1])
        return [
            self._answer(part, check(model_input, likeness), page_doubts(record))
            for part, likeness, model_input, record in zip(*parts, inputs, records, strict=True)
        ]

    def log_odds(self, inputs: npt.NDArray[np.floating] | torch.Tensor) -> npt.NDArray[np.float64]:
        """(n, 24, t) leads and masks at 100 Hz -> (n, classes) calibrated log-odds.

        For a record of one window, ``1 / (1 + exp(-log_odds))`` is the probability shown.
        """
        return self.member_log_odds(inputs).mean(axis=0)

    def member_log_odds(
        self, inputs: npt.NDArray[np.floating] | torch.Tensor
    ) -> npt.NDArray[np.float64]:
        """(n, 24, t) -> (members, n, classes): `log_odds` of each member."""
        return (self._read(inputs)[0] * self._scale + self._bias)[..., : len(self.classes)]

    def _read(
        self, inputs: npt.NDArray[np.floating] | torch.Tensor
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
        """(n, 24, t) -> (members, n, outputs) logits, and (n,) `ecg4u.model.beats.likeness`."""
        import torch

        from ecg4u.model.beats import lay_over, likeness
        from ecg4u.model.networks import answers

        x = torch.as_tensor(inputs, dtype=torch.float32)
        chunks, alike = [], []
        with torch.inference_mode():
            for chunk in x.split(BATCH):
                here = chunk.to(self.device)
                beats = lay_over(here)
                alike.append(likeness(beats).cpu().numpy())
                chunks.append([y.cpu().numpy() for y in answers(self._members, here, beats)])
        logits = np.stack([np.concatenate(parts) for parts in zip(*chunks, strict=True)])
        return logits.astype(np.float64), np.concatenate(alike)

    def _answer(
        self, windows: npt.NDArray[np.float64], found: SignalCheck, of_page: tuple[str, ...]
    ) -> Classification:
        """(windows, outputs) calibrated log-odds and the checks -> the answer."""
        odds = over_windows(windows, self.outputs)
        probability = 1 / (1 + np.exp(-odds))
        readable = not found.unreadable
        rows = tuple(
            self._result(name, float(p), readable)
            for name, p in zip(self.outputs, probability, strict=True)
        )
        results = normal_alone(rows[: len(self.classes)])
        others = rows[len(self.classes) :]
        doubts = (
            found.doubts
            + of_page
            + tuple(
                message(
                    "close_call",
                    name=row.name,
                    percent=100 * row.probability,
                    threshold=100 * row.threshold,
                )
                for row in results
                if readable and row.close
            )
        )
        verdict: Verdict = "unreadable" if not readable else "uncertain" if doubts else "ok"
        reasons = found.unreadable + doubts
        return Classification(results, verdict, reasons, self.card["id"], others)

    def _result(self, name: str, probability: float, readable: bool) -> ClassResult:
        threshold = self._thresholds[name]
        point = self._points[name]
        lower = self.card.get("rule_out", {}).get(name)
        rule_out = OperatingPoint(**lower) if lower else None
        positive = readable and probability >= threshold
        call: Call = "likely" if positive else "unlikely"
        if rule_out and not positive and probability >= rule_out.threshold:
            call = "possible"
        return ClassResult(
            name=name,
            probability=probability,
            threshold=threshold,
            positive=positive,
            sensitivity=point["sensitivity"],
            specificity=point["specificity"],
            rule_out=rule_out,
            call=call if readable else None,
        )


def normal_alone(results: tuple[ClassResult, ...]) -> tuple[ClassResult, ...]:
    """The nine classes: beside another that reaches its threshold, Normal is at most possible.

    ICBEB-2018 labels a recording Normal only if it has none of the other eight.
    """
    if not any(result.positive for result in results if result.name != NORMAL):
        return results
    return tuple(
        replace(result, positive=False, call="possible")
        if result.name == NORMAL and result.positive
        else result
        for result in results
    )


@lru_cache(maxsize=1)
def default_classifier() -> Classifier:
    """The shipped classifier, loaded once per process."""
    return Classifier()


@lru_cache(maxsize=4)
def loaded(folder: Path) -> Classifier:
    """The classifier of a folder, loaded once per process, however many records it reads."""
    return Classifier(folder)


def classify(source: ECGSource, *, page: int = 1) -> Classification:
    """Classify an ECG into the nine classes with the shipped weights; a page is digitized first.

    Parameters
    ----------
    source : `ECGRecord`, path of a record file, or a page as `ecg4u.digitize` takes it
    page : int
        Which page of a file with several, from 1.

    Raises
    ------
    ECG4UError
        If the input cannot be read, is not an ECG, or is too poor.
    WrongTypeError
        If ``source`` is none of these.
    """
    from ecg4u.sources import as_record

    record = as_record(source, page=page)
    return replace(default_classifier().classify(record), warnings=record.warnings)


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        text = read_bytes(folder / CARD_NAME, max_bytes=_MAX_CARD_BYTES)
    except UnreadableInputError:
        raise _bad_card(folder) from None
    card: dict[str, Any] = json.loads(text)
    if not set(card["classes"]) <= set(CLASSES):
        raise UnreadableInputError(
            "The card names unknown classes.",
            stage="model",
            hint="Use weights made for this version of ecg4u.",
        )
    return card


def _bad_card(folder: Path) -> UnreadableInputError:
    return UnreadableInputError(
        "The classifier's card cannot be read.", stage="model", hint=_hint_of(folder)
    )


def _hint_of(folder: Path) -> str:
    if folder == WEIGHTS:
        return "Reinstall ecg4u."
    if (folder / "run.json").exists():
        return "This is a training run: python -m training.export turns it into a classifier."
    return f"Give a folder that holds {CARD_NAME}, as python -m training.export writes it."


def _load(folder: Path, members: Sequence[Mapping[str, Any]], device: str) -> list[torch.nn.Module]:
    try:
        from safetensors.torch import load_file

        from ecg4u.model.networks import build, fused
    except ImportError as error:
        raise MissingDependencyError(
            "Classifying needs torch and safetensors.",
            stage="model",
            hint="pip install torch safetensors",
        ) from error
    networks: list[torch.nn.Module] = []
    for member in members:
        network = build(member["config"])
        check_regular(folder / member["file"], max_bytes=_MAX_WEIGHTS_BYTES)
        try:
            state = load_file(folder / member["file"])
            network.load_state_dict({k: v.float() if v.is_floating_point() else v
                                     for k, v in state.items()})  # fmt: skip
        except Exception as error:
            raise UnreadableInputError(
                "The classifier's weights cannot be read.", stage="model", hint="Reinstall ecg4u."
            ) from error
        networks.append(fused(network).to(device))
    return networks
