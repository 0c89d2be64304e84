"""Where the network and the measured criteria disagree, said plainly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecg4u.explain.criteria import decision, parts_of
from ecg4u.explain.result import CriterionResult
from ecg4u.explain.summary import LIKELY, reliability
from ecg4u.explain.titles import CLASSES as CLASS_TITLES
from ecg4u.explain.titles import capital, inside, listed, percent

if TYPE_CHECKING:
    from ecg4u.model import Classification, ClassResult


def blind(result: ClassResult) -> str:
    """The same as the continuation of a sentence; "" where the network is reliable enough."""
    if not reliability(result):
        return ""
    return f"; {reliability(result)}"


def conflicts(
    criteria: tuple[CriterionResult, ...], classification: Classification | None
) -> tuple[str, ...]:
    """One sentence for each class where network and criteria differ, and for impossible pairs.

    A class that is only possible by the network (under 50 %) is no conflict where the measurements
    do not find it.
    """
    if classification is None or classification.verdict == "unreadable":
        return ()
    out: list[str] = []
    for result in classification.results:
        rows, decides = parts_of(criteria, result.name), decision(criteria, result.name)
        title = CLASS_TITLES[result.name]
        if result.positive and result.probability >= LIKELY and decides.outcome == "not met":
            failed = [c for c in rows if c.outcome == "not met"]
            why = "; ".join(f"{inside(c.name)}: {c.numbers}" for c in failed) or decides.numbers
            out.append(f"{capital(title)}: found by the network, not by the measurements ({why}).")
        elif not result.positive and decides.outcome == "met" and result.name != "Normal":
            met = [c for c in rows if c.outcome == "met"]
            why = met[0].numbers if len(met) == 1 else ", ".join(inside(c.name) for c in met)
            out.append(
                f"{capital(title)}: measured criteria met ({why}), but the network gives only "
                f"{percent(result.probability)} (threshold {percent(result.threshold)})"
                f"{blind(result)}."
            )
    positive = {r.name for r in classification.results if r.positive}
    if "Normal" in positive and len(positive) > 1:
        others = listed([CLASS_TITLES[n] for n in sorted(positive - {"Normal"})])
        out.append(
            f"Normal ECG: rated likely by the network together with {others}, which exclude it."
        )
    return tuple(out)
