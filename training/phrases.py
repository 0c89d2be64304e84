"""What lines of print on ECG pages say: scales in many spellings, and other words."""

from __future__ import annotations

import numpy as np

from ecg4u.digitize.text.printed import GAINS_MM_PER_MV, SPEEDS_MM_PER_S, SYMBOLS

WORDS = (
    "ID:", "Name:", "Age:", "32 yrs", "Sex: Male", "Female", "Date:", "Height: 170 cm", "Weight:",
    "83 kg", "Vent. rate", "PR interval", "QRS duration", "QT/QTc", "P-R-T axes", "392/457",
    "Normal sinus rhythm", "Abnormal ECG", "Left axis deviation", "0.05-150 Hz", "0.5-40Hz",
    "AC 50 Hz", "150Hz", "F 60 ~ 0.15-100 Hz", "60 Hz", "82 BPM", "bpm", "HR 75", "Unconfirmed",
    "Referred by:", "Loc: 3", "Technician", "25 ms", "10 s", "120/80 mmHg", "10 mm", "2.5 s",
    "aVR", "V1", "V5", "II", "III", "aVF", "12 lead", "Cal: 1 mV", "filter", "Page 1 of 2",
    "mmol/l", "Standard 1", "MAC55", "12SL v239", "PAGEWRITER", "ECG", "Rhythm", "Room",
)  # fmt: skip


def phrase(rng: np.random.Generator) -> str:
    """What a line says."""
    kind = rng.random()
    if kind < 0.62:
        return _scales(rng)
    if kind < 0.8:
        count = int(rng.integers(1, 4))
        return " ".join(rng.choice(np.array(WORDS), count))[:34]
    if kind < 0.9:
        parts = [str(int(rng.integers(0, 10 ** int(rng.integers(1, 5))))) for _ in range(3)]
        return str(rng.choice(np.array(list(":/-. ")))).join(parts)
    letters = np.array(list(SYMBOLS + "ABCDEFGHIJKLMNOPQRSTUVWXYZmmsvV0123456789"))
    return "".join(rng.choice(letters, int(rng.integers(2, 16)))).strip()


def _scales(rng: np.random.Generator) -> str:
    gap = " " if rng.random() < 0.5 else ""
    second = str(rng.choice(["s", "sec", "S", "Sec"], p=[0.55, 0.35, 0.05, 0.05]))
    milli = str(rng.choice(["mV", "mv"], p=[0.9, 0.1]))
    stroke = " / " if rng.random() < 0.05 else "/"
    speed = f"{_number(rng, SPEEDS_MM_PER_S)}{gap}mm{stroke}{second}"
    gain = f"{_number(rng, GAINS_MM_PER_MV)}{gap}mm{stroke}{milli}"
    other = f"{_number(rng, GAINS_MM_PER_MV)}{gap}mm{stroke}{milli}"
    between = str(rng.choice([" ", "  ", "   ", " - ", ". "]))
    forms = (
        speed,
        gain,
        f"{speed}{between}{gain}",
        f"{gain}{between}{speed}",
        f"Speed: {speed}",
        f"Limb: {gain}",
        f"Chest: {gain}",
        f"Gain: {gain}",
        f"Limb: {gain} Chest: {other}",
        f"{rng.choice(np.array(WORDS))} {speed}",
        f"{gain} {rng.choice(np.array(WORDS))}",
    )
    return forms[int(rng.integers(len(forms)))]


def _number(rng: np.random.Generator, usual: tuple[float, ...]) -> str:
    if rng.random() < 0.35:
        return str(int(rng.integers(0, 10 ** int(rng.integers(1, 4)))))
    value = float(rng.choice(usual))
    return f"{value:.1f}" if rng.random() < 0.15 else f"{value:g}"


def read_as(text: str) -> str:
    """What the reader of print is to make of a line: small letters, single spaces."""
    return " ".join("".join(letter for letter in text.lower() if letter in SYMBOLS).split())
