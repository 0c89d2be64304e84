"""Classes, lists and probabilities as they stand in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

CLASS_TITLES: Mapping[str, str] = {
    "Normal": "a normal ECG",
    "AF": "atrial fibrillation",
    "I-AVB": "first-degree AV block",
    "LBBB": "left bundle branch block",
    "RBBB": "right bundle branch block",
    "PAC": "premature atrial beats",
    "PVC": "premature ventricular beats",
    "STD": "ST depression",
    "STE": "ST elevation",
}
SIGNAL: Mapping[str, str] = {
    "ok": "usable",
    "uncertain": "usable, with reservations",
    "unreadable": "not usable",
}
"""What a verdict says of the signal, in a cell. Beside a list of findings "ok" would be read as
"the ECG is ok", and "uncertain" as if they were."""


def printable(text: str) -> str:
    """``text`` as a terminal may show it: names of files can hold codes that move the cursor."""
    return "".join(c if c.isprintable() else "?" for c in text)


def class_title(name: str) -> str:
    """A class as the head of a line: "Atrial fibrillation"."""
    return "Normal ECG" if name == "Normal" else capital(CLASS_TITLES.get(name, name))


def capital(text: str) -> str:
    """``text`` as the head of a line or sentence."""
    return text[:1].upper() + text[1:]


def inside(title: str) -> str:
    """A title as it stands within a sentence: PR, V1 and P-wave keep their capitals, words not."""
    first = title.split(" ")[0]
    keep = not first[1:].islower() or first[1] == "-"
    return title if keep else title[0].lower() + title[1:]


def listed(words: list[str] | tuple[str, ...]) -> str:
    """Words joined as in a sentence: a, b and c."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def percent(share: float) -> str:
    """A probability in whole percents, never a false 0 or 100 %."""
    if not 0.005 <= share <= 0.995:
        return "under 1 %" if share < 0.5 else "over 99 %"
    return f"{100 * share:.0f} %"


def places_of_time(seconds: list[float], most: int = 5) -> str:
    """Moments for a sentence: at 1.2 s, 4.5 s and 3 more."""
    shown = [f"{value:.1f} s" for value in seconds[:most]]
    if len(seconds) > most:
        shown.append(f"{len(seconds) - most} more")
    return listed(shown)
