"""Where the network and the measured criteria disagree, said plainly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecg4u.explain.criteria import decision, parts_of, stated
from ecg4u.explain.result import CriterionResult
from ecg4u.explain.summary import LIKELY, reliability
from ecg4u.messages import Message, message
from ecg4u.words import inside

if TYPE_CHECKING:
    from ecg4u.model import Classification, ClassResult


def blind(result: ClassResult) -> str:
    """The same as the continuation of a sentence; "" where the network is reliable enough."""
    if not reliability(result):
        return ""
    return f"; {reliability(result)}"


def conflicts(
    criteria: tuple[CriterionResult, ...], classification: Classification | None
) -> tuple[Message, ...]:
    """A message for each class where network and criteria differ, and for impossible pairs.

    A class that is only possible by the network (under 50 %) is no conflict where the measurements
    do not find it.
    """
    if classification is None or classification.verdict == "unreadable":
        return ()
    out = []
    for result in classification.results:
        rows, decides = parts_of(criteria, result.name), decision(criteria, result.name)
        if result.positive and result.probability >= LIKELY and decides.outcome == "not met":
            failed = [stated(c, "{}: {}") for c in rows if c.outcome == "not met"]
            out.append(
                message(
                    "only_by_network",
                    class_name=result.name,
                    reason="; ".join(failed) or decides.numbers,
                )
            )
        elif not result.positive and decides.outcome == "met" and result.name != "Normal":
            met = [c for c in rows if c.outcome == "met"]
            one = len(met) == 1
            out.append(
                message(
                    "only_by_criteria",
                    class_name=result.name,
                    reason=met[0].numbers if one else ", ".join(inside(c.name) for c in met),
                    probability=result.probability,
                    threshold=result.threshold,
                    reservation=blind(result),
                )
            )
    positive = {r.name for r in classification.results if r.positive}
    if "Normal" in positive and len(positive) > 1:
        out.append(message("normal_beside_others", classes=sorted(positive - {"Normal"})))
    return tuple(out)
