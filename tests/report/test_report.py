from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import made_up
import numpy as np
import pytest
from made_up import HOSTILE, MadeUp

from ecg4u.analysis import Analysis
from ecg4u.record import CLASSES, LEADS, ECGRecord
from ecg4u.report import content_security_policy, render, write
from ecg4u.report.document import script, style
from ecg4u.report.markup import VOID
from ecg4u.report.names import CLASS_TITLES
from ecg4u.report.sections import tied


class Strict(HTMLParser):
    """Fails on a tag that is not closed, and keeps what the tests ask about."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(html: str) -> Strict:
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def html() -> str:
    return render(made_up.analysis())


def test_it_is_well_formed_and_ids_are_unique(html: str) -> None:
    ids = [attrs["id"] for _, attrs in parse(html).seen if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_it_asks_nothing_of_the_network(html: str) -> None:
    rest = html.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//\w+\.|@import|url\((?!#)", rest.replace("data:", ""))
    for tag, attrs in parse(html).seen:
        for name in ("src", "href", "action", "data"):
            target = attrs.get(name)
            assert target is None or target.startswith(("data:image/", "#")), (tag, target)


def test_its_policy_admits_its_own_style_and_script_only(html: str) -> None:
    policy = content_security_policy()
    assert "unsafe" not in policy
    metas = [attrs for tag, attrs in parse(html).seen if tag == "meta"]
    assert policy in [attrs.get("content") for attrs in metas]
    assert f"<style>{style()}</style>" in html
    assert f"<script>{script()}</script>" in html
    for _, attrs in parse(html).seen:
        assert "style" not in attrs
        assert not any(name.startswith("on") for name in attrs)


def test_every_class_lead_and_limit_is_there(html: str) -> None:
    text = parse(html).text
    for name in CLASSES:
        assert CLASS_TITLES[name] in text
    assert "93\u00a0%" in text
    for name in LEADS:
        assert f">{name}</text>" in html
    assert "not a medical device" in text
    assert "25 mm/s, assumed" in text
    assert "10 mm/mV, read from the calibration pulse" in text
    assert "Lead V3, row 3: poor" in text


def test_what_makes_the_signals_doubtful_stands_beside_the_answer(html: str) -> None:
    answer = html[html.index('class="verdict') : html.index('id="reading')]
    assert "read with reservations" in answer
    assert "names uncertain" in answer


def test_a_class_that_the_network_is_blind_to_is_called_so() -> None:
    whole = made_up.analysis()
    assert whole.classification is not None
    first = replace(whole.classification.results[1], probability=0.05, threshold=0.03)
    said = replace(whole.classification, results=(replace(first, positive=True, sensitivity=0.0),))
    blind = "the network found none of the test recordings"
    assert blind in parse(render(replace(whole, classification=said))).text
    assert blind not in parse(render(whole)).text


def test_none_says_whether_the_numbers_are_normal_and_the_table_what_came_near() -> None:
    whole = made_up.analysis()
    assert whole.classification is not None
    assert whole.explanation is not None
    results = tuple(
        replace(row, probability=0.45 if row.name == "RBBB" else 0.05, positive=False)
        for row in whole.classification.results
    )
    normal = replace(whole.explanation.criteria[0], class_name="Normal")
    shown = replace(
        whole,
        classification=replace(whole.classification, results=results),
        explanation=replace(whole.explanation, criteria=(normal,)),
    )
    text = parse(render(shown)).text
    assert "measured criteria of a normal ECG met" in text
    assert text.count("just below threshold") == 1


def test_no_line_ends_between_a_number_and_its_unit_or_its_lead() -> None:
    assert tied("V4 -0.59 mV; 2 of 3") == "V4\u00a0-0.59\u00a0mV; 2 of 3"
    assert tied("V4 J +1.42 mV at J") == "V4\u00a0J\u00a0+1.42\u00a0mV at J"


def test_all_text_is_escaped() -> None:
    hostile = render(made_up.analysis(HOSTILE), title=HOSTILE)
    assert "alert('x')" not in hostile.replace(script(), "")
    assert parse(hostile).text.count("alert('x')") >= 10
    plain = [tag for tag, _ in parse(render(made_up.analysis("t"), title="t")).seen]
    assert [tag for tag, _ in parse(hostile).seen] == plain


def test_same_analysis_same_bytes(html: str) -> None:
    assert render(made_up.analysis()) == html


def test_how_long_it_took_is_written_nowhere(tmp_path: Path) -> None:
    record = ECGRecord(made_up.signal(), made_up.FS)
    for number, timings in enumerate(({}, {"digitize": 1.0}, {"digitize": 2.5, "explain": 7.0})):
        write(Analysis(record, timings_s=timings), tmp_path / str(number), ["wfdb"])
    first = {path.name: path.read_bytes() for path in (tmp_path / "0").iterdir()}
    assert {"report.html", "result.json", "signals.hea", "signals.dat"} == set(first)
    for number in "12":
        assert {p.name: p.read_bytes() for p in (tmp_path / number).iterdir()} == first


def test_sentences_stand_in_reading_order_and_point_at_the_trace(html: str) -> None:
    text = parse(html).text
    assert text.index("The rate") < text.index("No P waves") < text.index("The conclusion")
    buttons = [attrs for tag, attrs in parse(html).seen if attrs.get("class") == "sentence"]
    assert [b["data-places"] for b in buttons] == ["V1,7.6,7.8;II,1,1.2", "*,0,10"]
    boxes = [attrs for tag, attrs in parse(html).seen if attrs.get("class") == "cited"]
    by_sentence = {button["data-n"] for button in buttons}
    assert {box["data-n"] for box in boxes} == by_sentence


def test_attributions_show_base_value_total_and_additivity(html: str) -> None:
    text = parse(html).text
    assert "-2.00 with nothing shown, -0.80 with the whole ECG, a difference of +1.20" in text
    assert "sum to the difference to within 1e-07" in text
    bands = [attrs for tag, attrs in parse(html).seen if attrs.get("class") in ("for", "against")]
    assert len(bands) > 12


def test_the_page_image_can_be_left_out() -> None:
    assert "data:image/webp" in render(made_up.analysis())
    assert "data:image" not in render(made_up.analysis(), page_image=False)


def test_unreadable_shows_no_probabilities() -> None:
    whole = made_up.analysis()
    assert whole.classification is not None
    said = replace(whole.classification, verdict="unreadable", reasons=("Lead V1 is flat.",))
    text = parse(render(replace(whole, classification=said))).text
    assert "Lead V1 is flat." in text
    assert "93\u00a0%" not in text
    assert "None of its nine classes" not in text


def cases() -> Iterator[tuple[str, np.ndarray]]:
    yield "full", made_up.signal()
    yield "long", made_up.signal(74.0)
    yield "short", made_up.signal(0.5)
    yield "3x4", made_up.paged()
    yield "6x2", made_up.paged(2)
    yield "one lead", np.where(np.arange(12) == 3, made_up.signal(), np.nan)
    yield "nothing", np.full((100, 12), np.nan)
    yield "flat", np.zeros((5000, 12))
    yield "huge", 500 * made_up.signal()
    yield "single samples", np.where(np.arange(5000)[:, None] % 7 == 0, made_up.signal(), np.nan)


@pytest.mark.parametrize(("name", "values"), list(cases()), ids=[name for name, _ in cases()])
def test_a_record_alone_of_any_kind_gives_a_report(name: str, values: np.ndarray) -> None:
    html = render(MadeUp(ECGRecord(values, made_up.FS)))
    parse(html)
    assert (
        "nan" not in "".join(re.findall(r' (?:d|x|y|width|height|viewBox)="[^"]*"', html)).lower()
    )
    assert len(html) < 1_500_000


def test_write_leaves_report_result_and_signals(tmp_path: Path) -> None:
    paths = write(made_up.analysis(), tmp_path / "out", ["wfdb", "csv"])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"report.html", "result.json", "signals.hea", "signals.dat", "signals.csv"} == names
    assert paths[0].name == "report.html"
