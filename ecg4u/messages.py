"""Warnings, doubts, grade reasons and conflicts as data: codes, parameters, one place of words.

A `Message` is its sentence, so that it can be shown as it is; what decides something asks for its
``code``. ``docs/messages.md`` is this catalogue, written by ``python -m ecg4u.messages``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, Literal, TypeAlias

from ecg4u.record import EXTRA_LEADS, LEADS
from ecg4u.words import CLASS_TITLES, class_title, listed, percent

Severity: TypeAlias = Literal["note", "warning", "refusal"]
"""Good to know; something may be wrong; the signal cannot be read as an ECG."""
Parameter: TypeAlias = str | float | list[str]
_WORD = re.compile("[a-z]+")
_OF_PARAMETERS = "cabrera simultaneous limb chest what is called fits as labelled not x mV mm"
"""Words that stand in a parameter and in no sentence."""
LARGEST = 1e9
"""No parameter that ecg4u writes is as large."""


@dataclass(frozen=True)
class Kind:
    """What a code means: its words with their parameters, what it is about, and what to do."""

    words: str
    about: str
    meaning: str
    remedy: str
    severity: Severity = "warning"


SPECS: Mapping[str, Callable[[Any], str]] = {
    "Class": class_title,
    "classes": lambda names: listed([CLASS_TITLES.get(name, name) for name in names]),
    "percent": percent,
}
"""How `Kind.words` may ask for a parameter, beside what Python's `format` knows."""


class _Words(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec in SPECS:
            return SPECS[format_spec](value)
        return str(format(", ".join(value) if isinstance(value, list) else value, format_spec))


class Message(str):
    """A sentence, or a grade's reason, that knows its code and parameters; `message` makes one."""

    code: str
    parameters: Mapping[str, Parameter]

    def __new__(cls, code: str, parameters: Mapping[str, Parameter]) -> Message:
        made = super().__new__(cls, _Words().vformat(KINDS[code].words, (), parameters))
        made.code, made.parameters = code, parameters
        return made

    def __getnewargs__(self) -> tuple[str, Mapping[str, Parameter]]:  # type: ignore[override]
        return self.code, self.parameters

    @property
    def kind(self) -> Kind:
        """What the catalogue says of the code."""
        return KINDS[self.code]

    @property
    def leads(self) -> tuple[str, ...]:
        """The leads that its parameters name, in the usual order."""
        values = [v if isinstance(v, list) else [v] for v in self.parameters.values()]
        named = {item for value in values for item in value}
        return tuple(lead for lead in LEADS if lead in named)


def message(code: str, **parameters: Parameter) -> Message:
    """The message of a code; ``parameters`` are those that its words in `KINDS` name."""
    plain = {k: float(v) if isinstance(v, float) else v for k, v in parameters.items()}
    return Message(code, plain)


def restored(text: str, code: str, parameters: Any) -> str:
    """A written sentence as the message it was, in today's words: another version may have put it
    otherwise.

    Whoever wrote the file may have written anything there: where code and parameters do not fit
    each other, it stays a sentence.
    """
    if code not in KINDS or not isinstance(parameters, dict):
        return text
    named = {name for _, name, _, _ in Formatter().parse(KINDS[code].words) if name}
    if set(parameters) != named or not all(map(_is_parameter, parameters.values())):
        return text
    try:
        return Message(code, parameters)
    except (TypeError, ValueError):
        return text


def in_own_words(text: str) -> bool:
    """Whether every word of ``text`` is one that a message of ecg4u can hold: whoever wrote a file
    may have written a person's name where a warning belongs."""
    return text.isascii() and set(_WORD.findall(text.casefold())) <= _vocabulary()


@functools.cache
def _vocabulary() -> frozenset[str]:
    own = [*LEADS, *EXTRA_LEADS, *CLASS_TITLES, *CLASS_TITLES.values(), _OF_PARAMETERS]
    for kind in KINDS.values():
        own += [kind.words, kind.about]
    return frozenset(_WORD.findall(" ".join(own).casefold()))


def _is_parameter(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    if isinstance(value, (int, float)):
        return abs(value) < LARGEST
    return isinstance(value, str)


def as_data(texts: Iterable[str]) -> list[dict[str, Any]]:
    """Messages as plain values; the code of a sentence from an older file is None."""
    return [
        {
            "code": text.code,
            "severity": text.kind.severity,
            "about": text.kind.about,
            "leads": list(text.leads),
            "parameters": dict(text.parameters),
            "text": str(text),
        }
        if isinstance(text, Message)
        else {
            "code": None,
            "severity": "warning",
            "about": "",
            "leads": [],
            "parameters": {},
            "text": text,
        }
        for text in texts
    ]


SCALE_REMEDY = "Give `--gain` or `--speed`, or correct the scale in the sidecar."
NAMES_REMEDY = "Compare with the page; correct names with `ecg4u fix` or in the sidecar."
CUTS_REMEDY = "Compare with the overlay; correct starts or the layout with `ecg4u fix`."
PICTURE_REMEDY = "Take a better picture: flat, sharp, the whole page in view."
SIGNAL_REMEDY = "Check the tracing and, if it was read from a page, the overlay."
TRACE_REMEDY = "Compare with the overlay; redraw it with `ecg4u fix`."
CONFLICT_REMEDY = "Read the tracing: the numbers beside the criteria show where to look."

KINDS: Mapping[str, Kind] = {
    "pulse_scale": Kind(
        "No grid was found: the scale comes from the calibration pulses of {rows} rows (accurate "
        "to about {percent:.1f} %), assuming that they are 1 mV high and 0.2 s long.",
        "pulses",
        "No grid was found; the calibration pulses gave the scale.",
        "Give `--dpi` if the resolution of the scan is known.",
    ),
    "pulse_scale_by_height": Kind(
        "No grid was found: the scale comes from the calibration pulses of {rows} rows (accurate "
        "to about {percent:.1f} %), assuming that they are 1 mV high and that the picture is not "
        "stretched.",
        "pulses",
        "No grid was found; the height of the calibration pulses alone gave the scale.",
        "Give `--dpi` if the resolution of the scan is known.",
    ),
    "pulses_differ": Kind(
        "The calibration pulses differ in height from row to row: gains may be mixed. {gain:g} "
        "mm/mV was used for all leads.",
        "gain",
        "Rows may be printed at different gains, but one was used for all.",
        SCALE_REMEDY,
    ),
    "pulse_not_used": Kind(
        "The calibration pulse shows {value:g} mm/mV; the {used:g} given was used instead.",
        "gain",
        "The given gain contradicts the calibration pulse.",
        "Leave out `--gain` to have it read from the page.",
    ),
    "printed_gain_not_given": Kind(
        "The page states {value:g} mm/mV; the {used:g} given was used instead.",
        "gain",
        "The given gain contradicts the printed one.",
        "Leave out `--gain` to have it read from the page.",
    ),
    "printed_gain_not_pulse": Kind(
        "The page states {value:g} mm/mV; its calibration pulse shows {used:g}, which was used.",
        "gain",
        "The calibration pulse and the printed gain disagree.",
        SCALE_REMEDY,
    ),
    "printed_speed_not_given": Kind(
        "The page states {value:g} mm/s; the {used:g} given was used instead.",
        "speed",
        "The given paper speed contradicts the printed one.",
        "Leave out `--speed` to have it read from the page.",
    ),
    "gain_assumed": Kind(
        "No calibration pulse or printed gain was found: 10 mm/mV is assumed.",
        "gain",
        "Nothing on the page states the gain.",
        SCALE_REMEDY,
    ),
    "speed_assumed": Kind(
        "No printed paper speed was found: 25 mm/s is assumed.",
        "speed",
        "Nothing on the page states the paper speed.",
        SCALE_REMEDY,
    ),
    "speed_from_rows": Kind(
        "No printed paper speed was found: {speed:g} mm/s was inferred from the length of the "
        "rows and the beats in them.",
        "speed",
        "The paper speed was inferred.",
        SCALE_REMEDY,
    ),
    "speed_from_pulses": Kind(
        "No printed paper speed was found: {speed:g} mm/s was inferred from calibration pulses "
        "{width_mm:.0f} mm wide.",
        "speed",
        "The paper speed was inferred.",
        SCALE_REMEDY,
    ),
    "chest_gain_printed": Kind(
        "The page states {gain:g} mm/mV for the chest leads; this was used for V1 to V6.",
        "gain",
        "Limb and chest leads are printed at different gains.",
        "Check the chest leads' amplitudes.",
        "note",
    ),
    "chest_gain_from_pulses": Kind(
        "The calibration pulses before the chest leads are {gain:g} mm tall: {gain:g} mm/mV was "
        "used for V1 to V6.",
        "gain",
        "Limb and chest leads are printed at different gains.",
        "Check the chest leads' amplitudes.",
        "note",
    ),
    "scale_uncertain": Kind(
        "The scale is uncertain ({probability:.0%} likely to be right): the grid, the length of "
        "the rows and the calibration pulses disagree about the size of a millimetre.",
        "scale",
        "Amplitudes and intervals may be wrong by the same factor.",
        SCALE_REMEDY,
    ),
    "grid_oblong": Kind(
        "The grid squares look oblong: the grid, and with it the scale, may have been misread.",
        "scale",
        "What was taken for the grid does not look like a regular grid.",
        PICTURE_REMEDY,
    ),
    "grid_faint": Kind(
        "The grid is hard to see: it, and with it the scale, may have been misread.",
        "scale",
        "What was taken for the grid is faint.",
        PICTURE_REMEDY,
    ),
    "pulse_rows_unusual": Kind(
        "Judging by the calibration pulses, the rows last {seconds:.1f} s instead of the usual "
        "10 s.",
        "scale",
        "At the scale of the calibration pulses, the rows are unusually long or short.",
        SCALE_REMEDY,
    ),
    "speed_uncertain": Kind(
        "The paper speed is uncertain: it was not read; rows, pulses and beats make {speed:g} "
        "mm/s the most likely, with a probability of only {probability:.0%}.",
        "scale",
        "The paper speed was assumed or inferred, and another is almost as likely.",
        SCALE_REMEDY,
    ),
    "gain_from_cut_pulses": Kind(
        "The unusual gain of {gain:g} mm/mV was read from calibration pulses cut off by the edge "
        "of the picture.",
        "gain",
        "An unusual gain rests on pulses that are only partly visible.",
        SCALE_REMEDY,
    ),
    "gain_from_odd_pulses": Kind(
        "The unusual gain of {gain:g} mm/mV was read from a single calibration pulse, or from "
        "strokes that lie along grid lines.",
        "gain",
        "What was taken for calibration pulses may be something else.",
        SCALE_REMEDY,
    ),
    "gain_uncertain": Kind(
        "The gain is uncertain: nothing on the page states it, and QRS complexes {height_mm:.0f} "
        "mm high are unusual at {gain:g} mm/mV.",
        "gain",
        "The gain was assumed, and another is almost as likely.",
        SCALE_REMEDY,
    ),
    "origin_left_out": Kind(
        "what the record's file says of its origin was left out",
        "record",
        "De-identified: the record no longer says where it came from.",
        "None needed.",
        "note",
    ),
    "columns_unusual": Kind(
        "The columns last {seconds:.1f} s each instead of the usual 2.5 s: the scale or the paper "
        "speed may be wrong.",
        "columns",
        "At the scale that was found, the columns are unusually long or short.",
        SCALE_REMEDY,
    ),
    "columns_with_pulses": Kind(
        "Columns begin with their own calibration pulses, which were left in the signal.",
        "columns",
        "Pulses in the signal look like waves.",
        CUTS_REMEDY,
    ),
    "names_off_columns": Kind(
        "The lead names are {distance_mm:.0f} mm from where the columns were cut: the ends of "
        "leads may belong to their neighbours.",
        "columns",
        "The columns may be cut in the wrong places.",
        CUTS_REMEDY,
    ),
    "part_of_page": Kind(
        "The picture shows only part of a twelve-lead page ({layout} was found): check the names.",
        "layout",
        "Too few rows or columns were found for twelve leads.",
        NAMES_REMEDY,
    ),
    "other_leads": Kind(
        "The page also shows {names}: not among the twelve leads, so left out.",
        "layout",
        "The page shows leads beyond the twelve.",
        "None needed if only the twelve are wanted.",
        "note",
    ),
    "only_row_unnamed": Kind(
        "The page has only one row, and its name was not read: it was stored as {lead}. Correct "
        "the name if it is another lead.",
        "names",
        "The page has a single row, whose name could not be read.",
        NAMES_REMEDY,
    ),
    "name_unexpected": Kind(
        "The name {read} was read where {lead} is expected.",
        "names",
        "A lead name contradicts the layout.",
        NAMES_REMEDY,
    ),
    "order_unusual": Kind(
        "The leads are in an unusual order, and the names {names} were hard to read: they may be "
        "wrong.",
        "names",
        "The order of the leads rests on names that were hard to read.",
        NAMES_REMEDY,
    ),
    "traces_unnamed": Kind(
        "{count} traces could not be named and were left out: check the names of the others.",
        "names",
        "The page shows no usual arrangement of twelve leads, and some rows or columns have no "
        "readable name.",
        NAMES_REMEDY,
    ),
    "strip_unnamed": Kind(
        "No name was read beside the rhythm strip called {lead}, though most leads have theirs.",
        "names",
        "What was taken for a rhythm strip may be another lead, or no trace at all.",
        NAMES_REMEDY,
    ),
    "few_names_read": Kind(
        "Only {count} lead names could be read; the others follow from the usual order.",
        "names",
        "Most lead names were inferred from their positions.",
        NAMES_REMEDY,
    ),
    "order_by_signals": Kind(
        "The names {names} were not clearly read. Of the lead orders consistent with the other "
        "names, only the {order} one satisfies Einthoven's law and matches the other leads' "
        "beats.",
        "layout",
        "The signals decided between two orders of the leads.",
        NAMES_REMEDY,
    ),
    "order_against_print": Kind(
        "The names {names} were not clearly read. Of the lead orders consistent with the other "
        "names, only the {order} one satisfies Einthoven's law and matches the other leads' "
        "beats. This contradicts the names that seemed to be printed ({against}).",
        "layout",
        "The signals decided the order of the leads, against names that seemed to be printed.",
        NAMES_REMEDY,
    ),
    "avr_inverted": Kind(
        "aVR is printed inverted (-aVR); the record holds aVR.",
        "layout",
        "The page shows -aVR, as many pages in Cabrera's order do.",
        "None needed: in the record aVR has its usual sign.",
        "note",
    ),
    "strip_renamed": Kind(
        "The rhythm strip is labelled {read}, but its signal repeats {lead}: it was taken as "
        "{lead}.",
        "layout",
        "The signal of the rhythm strip does not match its name.",
        NAMES_REMEDY,
    ),
    "strip_after_columns": Kind(
        "The beats of the rhythm strip do not line up with those of the leads above it: it was "
        "recorded at another time and follows them in the record, from {start_s:.0f} s.",
        "layout",
        "The rhythm strip is not simultaneous with the leads above it.",
        "None needed, unless the strip is simultaneous on the page: then correct its start.",
        "note",
    ),
    "strip_like": Kind(
        "The rhythm strip labelled {lead} looks like {like}.",
        "names",
        "The signal of the rhythm strip does not match its name.",
        NAMES_REMEDY,
    ),
    "limb_names_swapped": Kind(
        "Limb lead labels appear swapped ({which}): as labelled, the leads contradict Einthoven's "
        "law.",
        "names",
        "With these labels swapped, the limb leads would satisfy Einthoven's law far better.",
        NAMES_REMEDY,
    ),
    "arm_electrodes_swapped": Kind(
        "Lead I is inverted relative to V6 and aVR is upright: the arm electrodes may be swapped.",
        "names",
        "The tracing looks as it does with swapped arm electrodes.",
        SIGNAL_REMEDY,
    ),
    "electrode_on_wrong_limb": Kind(
        "Lead {lead} is flat: an electrode may be on the wrong limb.",
        "names",
        "The tracing looks as it does with an arm electrode on the right leg.",
        SIGNAL_REMEDY,
    ),
    "chest_leads_reversed": Kind(
        "V1 resembles the left-sided leads more than V6 does: chest lead labels or electrodes may "
        "be reversed.",
        "names",
        "The chest leads seem to run from V6 to V1.",
        NAMES_REMEDY,
    ),
    "chest_leads_disordered": Kind(
        "The chest leads do not progress smoothly from V1 to V6 (smoother: {order}): labels or "
        "electrodes may be swapped.",
        "names",
        "In another order the chest leads would change far more evenly.",
        NAMES_REMEDY,
    ),
    "name_twice": Kind(
        "Labelled twice on the page: {names}. One of the labels may be wrong.",
        "names",
        "Two segments have the same name.",
        NAMES_REMEDY,
    ),
    "limb_leads_contradict": Kind(
        "The limb leads contradict each other ({which}): a lead may be mislabelled or misread.",
        "signal",
        "The limb leads of the page do not satisfy Einthoven's law.",
        NAMES_REMEDY,
    ),
    "waves_collide": Kind(
        "Tall waves of {leads} overlap those of the rows above or below: their height is "
        "uncertain there.",
        "signal",
        "Where two traces overlap, their heights are uncertain.",
        "Redraw them with `ecg4u fix`.",
    ),
    "leads_missing": Kind(
        "Not found: {leads}.",
        "signal",
        "The record holds no sample of these leads.",
        PICTURE_REMEDY,
    ),
    "corrected_by_hand": Kind(
        "Corrected by hand: {what}.",
        "corrections",
        "A person corrected the reading.",
        "None needed.",
        "note",
    ),
    "corners_given": Kind(
        "The page was flattened using the given corners.",
        "corners",
        "A person moved the corners of the page.",
        "None needed.",
        "note",
    ),
    "layout_lost": Kind(
        "The given layout no longer fits.",
        "lost",
        "After the corners were moved, the corrected layout no longer fits the rows.",
        "Correct the layout again.",
    ),
    "correction_lost": Kind(
        "The correction of segment {segment} was dropped: the segment no longer exists.",
        "lost",
        "After the corners were moved, a corrected segment was not found again.",
        "Correct it again.",
    ),
    "remark_left_out": Kind(
        "A remark in the sidecar is not one of ecg4u's own messages and was left out.",
        "sidecar",
        "It could name a person, and warnings are copied into every result.",
        "Read it in the sidecar itself.",
        "note",
    ),
    "assumed": Kind(
        "Assumed, not read: {what}.",
        "record",
        "The record's file, or the page it was read from, does not state these values.",
        "Correct the file if they are wrong.",
    ),
    "too_little_signal": Kind(
        "Too little signal: the longest lead lasts {seconds:.1f} s.",
        "signal",
        "The leads are too short to be classified.",
        SIGNAL_REMEDY,
        "refusal",
    ),
    "most_leads_flat": Kind(
        "{flat} of {shown} leads are flat.",
        "signal",
        "More than half of the leads hold no signal.",
        SIGNAL_REMEDY,
        "refusal",
    ),
    "span_impossible": Kind(
        "The leads span {millivolts:.0f} mV, more than any ECG: the gain must be wrong.",
        "gain",
        "The amplitudes exceed those of any ECG.",
        SCALE_REMEDY,
        "refusal",
    ),
    "no_qrs": Kind(
        "No QRS complexes stand out: noise, or not an ECG.",
        "signal",
        "Nothing in the signal is steep enough to stand out as a QRS complex.",
        SIGNAL_REMEDY,
        "refusal",
    ),
    "no_heart_rate": Kind(
        "{rate:.0f} beats per minute were counted, which is not a plausible heart rate.",
        "signal",
        "What was taken for beats is too slow or too fast.",
        SIGNAL_REMEDY,
        "refusal",
    ),
    "beats_unlike": Kind(
        "No two beats look alike: noise, or not an ECG.",
        "signal",
        "What was taken for beats has no common shape.",
        SIGNAL_REMEDY,
        "refusal",
    ),
    "span_unusual": Kind(
        "The median lead spans {millivolts:.2g} mV; {low:g} to {high:g} mV is usual: the gain may "
        "be wrong.",
        "gain",
        "The amplitudes are unusually small or large.",
        SCALE_REMEDY,
    ),
    "few_leads": Kind(
        "Only {count} of 12 leads are shown.",
        "signal",
        "The network's performance was measured on all twelve leads.",
        SIGNAL_REMEDY,
    ),
    "leads_flat": Kind("Flat: {leads}.", "signal", "These leads hold no signal.", SIGNAL_REMEDY),
    "einthoven_contradicted": Kind(
        "The limb leads contradict Einthoven's law (II is not I + III): leads may be swapped, "
        "mislabelled or misread.",
        "names",
        "I, II and III cannot have been recorded from one heart at the same time.",
        NAMES_REMEDY,
    ),
    "goldberger_contradicted": Kind(
        "aVR, aVL and aVF do not match I, II and III: leads may be swapped, mislabelled or "
        "misread.",
        "names",
        "The augmented leads do not follow from I, II and III.",
        NAMES_REMEDY,
    ),
    "arm_leads_swapped": Kind(
        "Lead I is inverted and aVR is upright: the arm leads may be swapped.",
        "names",
        "The signs of the leads are those of swapped arm electrodes.",
        SIGNAL_REMEDY,
    ),
    "upside_down": Kind(
        "I, II and V6 are all negative: the signal may be upside down.",
        "signal",
        "The signs of the leads are reversed.",
        SIGNAL_REMEDY,
    ),
    "chest_signs_reversed": Kind(
        "V1 is positive and V6 negative: the chest leads may be in reverse order.",
        "names",
        "The signs of the chest leads are those of the reverse order.",
        NAMES_REMEDY,
    ),
    "page_scale_uncertain": Kind(
        "The scale of the page is uncertain: amplitudes and intervals may be wrong.",
        "scale",
        "The scale of the page that the record was read from is in doubt.",
        SCALE_REMEDY,
    ),
    "page_names_uncertain": Kind(
        "Lead names on the page are uncertain: leads may be swapped.",
        "names",
        "Lead names on the page that the record was read from are in doubt.",
        NAMES_REMEDY,
    ),
    "page_columns_uncertain": Kind(
        "Where the leads begin on the page is uncertain.",
        "columns",
        "It is uncertain where one lead ends and the next begins on the page.",
        CUTS_REMEDY,
    ),
    "close_call": Kind(
        "{name} is a close call ({percent:.0f} %, threshold {threshold:.0f} %).",
        "class",
        "The probability is so close to its threshold that a small change would change the answer.",
        "Weigh the measured criteria of this class.",
    ),
    "trace_incomplete": Kind(
        "{share:.0%} of the trace found",
        "trace",
        "Reason for a lead's grade: part of it was not found on the page.",
        PICTURE_REMEDY,
    ),
    "trace_doubtful": Kind(
        "mean confidence {confidence:.2f}",
        "trace",
        "Reason for a lead's grade: its samples may not follow the trace.",
        TRACE_REMEDY,
    ),
    "trace_collides": Kind(
        "waves overlap another trace",
        "trace",
        "Reason for a lead's grade: where two traces overlap, heights are uncertain.",
        TRACE_REMEDY,
    ),
    "trace_jagged": Kind(
        "jagged at {at_s:.1f} s: noise, or not a trace",
        "trace",
        "Reason for a lead's grade: it changes direction more often than any ECG.",
        TRACE_REMEDY,
    ),
    "trace_misread": Kind(
        "{probability:.0%} likely to have been misread",
        "trace",
        "Reason for a lead's grade: its shape, its ink and its page resemble those of leads on "
        "drawn pages that were read at less than 12 dB.",
        TRACE_REMEDY,
    ),
    "qrs_cut_short": Kind(
        "a QRS complex at {at_s:.1f} s is lower than the others, in this lead alone",
        "trace",
        "Reason for a lead's grade: the leads shown at the same time contradict it.",
        TRACE_REMEDY,
    ),
    "spike": Kind(
        "a spike at {at_s:.1f} s that no other lead shows",
        "trace",
        "Reason for a lead's grade: the leads shown at the same time contradict it.",
        TRACE_REMEDY,
    ),
    "trace_redrawn": Kind(
        "corrected by hand",
        "trace",
        "A person redrew part of this lead.",
        "None needed.",
        "note",
    ),
    "leads_graded": Kind(
        "{grade}: {leads}",
        "grade",
        "Reason for a page's grade: these leads have a lower grade.",
        TRACE_REMEDY,
    ),
    "leads_disagree": Kind(
        "the leads contradict each other or the usual pattern",
        "grade",
        "Reason for a page's grade: names, electrodes or signals do not match.",
        NAMES_REMEDY,
    ),
    "page_uncertain": Kind(
        "{what} uncertain",
        "grade",
        "Reason for a page's grade: its scale, names or columns are in doubt.",
        "See the warning about it.",
    ),
    "only_by_network": Kind(
        "{class_name:Class}: found by the network, not by the measurements ({reason}).",
        "class",
        "The network finds a class, but its published criteria are not met.",
        CONFLICT_REMEDY,
    ),
    "only_by_criteria": Kind(
        "{class_name:Class}: measured criteria met ({reason}), but the network gives only "
        "{probability:percent} (threshold {threshold:percent}){reservation}.",
        "class",
        "The published criteria of a class are met, but the network does not find it.",
        CONFLICT_REMEDY,
    ),
    "normal_beside_others": Kind(
        "Normal ECG: rated likely by the network, but incompatible with {classes:classes}.",
        "class",
        "The network finds a normal ECG and classes that exclude it.",
        CONFLICT_REMEDY,
    ),
    "beats_differ": Kind(
        "NeuroKit2 finds different beats ({count:.0f} in one lead; {percent:.0f} % agreement with "
        "those used here): check the beats on the trace.",
        "beats",
        "Two beat detectors disagree.",
        SIGNAL_REMEDY,
    ),
}


def as_markdown() -> str:
    """The catalogue as the page of the documentation."""
    lines = [
        "# Messages",
        "",
        "Each warning, doubt, conflict and reason for a grade in `result.json` appears twice: as a",
        "sentence, and beside it as an entry of a list `messages` (for the grade of the page,",
        "`grade_messages`) with `code`, `severity` (`note`, `warning`, or `refusal`: this cannot",
        "be read as an ECG), `about`, `leads`, `parameters` and `text`. Codes are stable; wording",
        "may change. In files of older versions `code` may be null. This page is written by",
        "`python -m ecg4u.messages`.",
        "",
        "| code | severity | about | words | meaning | remedy |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{code}` | {kind.severity} | {kind.about} | {kind.words} | {kind.meaning} | "
        f"{kind.remedy} |"
        for code, kind in KINDS.items()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")
