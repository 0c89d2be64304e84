"""What a researcher imports: every form of input, results that show and convert themselves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import wfdb

import ecg4u
from ecg4u import CLASSES, LEADS, ECGRecord
from ecg4u.digitize import pipeline
from ecg4u.errors import NotAnECGError, UnreadableInputError, UsageError
from ecg4u.io import as_page

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "data" / "pages" / "A00347.png"
RECORD = ROOT / "data" / "records" / "ptbxl_00427.hea"


@pytest.fixture(scope="module")
def record() -> ECGRecord:
    return ecg4u.read_record(RECORD)


@pytest.fixture(scope="module")
def found(record: ECGRecord) -> ecg4u.Analysis:
    return ecg4u.analyse(record, classes=["PAC", "AF"])


def test_functions_stay_functions_when_their_subpackages_are_imported() -> None:
    code = (
        "import ecg4u.digitize.pipeline, ecg4u.explain.measure, ecg4u, types, json;"
        "names = ('digitize', 'explain', 'classify', 'analyse', 'analyse_many');"
        "print(json.dumps([type(getattr(ecg4u, n)).__name__ for n in names]))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert json.loads(out.stdout) == ["function"] * 5


def test_the_stub_names_what_there_is() -> None:
    for name in ecg4u.__all__:
        assert getattr(ecg4u, name) is not None
    assert {"digitize", "classify", "explain", "analyse", "ECGRecord"} <= set(ecg4u.__all__)


def test_a_page_may_be_a_path_bytes_an_array_or_a_pillow_image() -> None:
    from PIL import Image

    image = Image.open(PAGE)
    pixels = np.array(image.convert("RGB"))
    for source in (str(PAGE), PAGE, PAGE.read_bytes(), pixels, image, ecg4u.Page(pixels, "")):
        np.testing.assert_array_equal(as_page(source).image, pixels)
    assert as_page(np.zeros((80, 90), np.uint8)).image.shape == (80, 90, 3)


def test_warnings_of_the_page_stay_with_the_record_and_what_is_made_of_it(
    record: ECGRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = SimpleNamespace(record=record, warnings=("The gain is assumed.",), grade="fair")
    monkeypatch.setattr(pipeline, "digitize_page", lambda page, options: read)
    digitized = ecg4u.digitize(np.zeros((80, 90), np.uint8))
    assert digitized.warnings == read.warnings
    assert "1 warning" in repr(digitized)
    assert ecg4u.classify(digitized).warnings == read.warnings
    assert ecg4u.explain(digitized, classes=()).warnings == read.warnings
    assert ecg4u.analyse(PAGE, classify=False).record.warnings == read.warnings


@pytest.mark.parametrize(
    "array", [np.zeros((5000, 12)), np.zeros((9, 9, 4), np.uint8), np.zeros(5, np.uint8)]
)
def test_an_array_that_is_no_picture_is_refused_with_a_remedy(array: Any) -> None:
    with pytest.raises(UnreadableInputError) as error:
        ecg4u.digitize(array)
    assert "ECGRecord" in error.value.hint


def test_a_picture_without_an_ecg_is_refused_however_it_comes() -> None:
    with pytest.raises(NotAnECGError):
        ecg4u.classify(np.full((400, 400), 255, np.uint8))


def test_classes_by_name(found: ecg4u.Analysis) -> None:
    classification = found.classification
    assert classification is not None
    assert classification["AF"].name == "AF"
    assert tuple(classification.probabilities) == CLASSES
    assert classification.probabilities["AF"] == classification["AF"].probability
    assert list(classification.to_dataframe()["positive"]) == [
        result.positive for result in classification.results
    ]
    with pytest.raises(KeyError, match="Normal, AF"):
        classification["VF"]


def test_explain_classifies_by_itself(record: ECGRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Asked(ecg4u.Classifier):
        def classify(self, record: ECGRecord) -> ecg4u.Classification:
            asked.append(record)
            return super().classify(record)

    why = ecg4u.explain(record, classifier=Asked())
    assert asked == [record]
    assert any("network" in sentence.text for sentence in why.reading)


class OnlyAF:
    """A classifier of one class: its log-odds is the size of lead II."""

    classes = ("AF",)

    def log_odds(self, inputs: Any) -> Any:
        return np.abs(np.asarray(inputs)[:, 1]).mean(axis=1, keepdims=True).astype(np.float64)


def test_a_classifier_of_one_class_is_explained_by_its_own_column(record: ECGRecord) -> None:
    why = ecg4u.explain(record, classes=["AF"], classifier=OnlyAF())  # type: ignore[arg-type]
    leads = why.attribution("AF")
    assert leads.players[int(np.argmax(leads.values))].lead == "II"


def test_a_class_that_the_classifier_lacks_is_a_usage_error(record: ECGRecord) -> None:
    with pytest.raises(UsageError, match="PVC"):
        ecg4u.explain(record, classes=["PVC"], classifier=OnlyAF())  # type: ignore[arg-type]


def test_representations_are_short_and_html_is_escaped(found: ecg4u.Analysis) -> None:
    for shown in (found, found.record, found.classification):
        assert len(repr(shown)) < 200
    html = found._repr_html_()
    assert html.startswith(f"<ul><li>{escape(str(found.summary[0]))}")
    assert "data:image/png" in html
    assert "Probability" in html
    warned = ECGRecord(np.zeros((500, 12)), warnings=("<script>",))
    assert "<script>" not in warned._repr_html_()


def test_a_plot_shows_each_lead_once_on_paper_of_the_right_size(record: ECGRecord) -> None:
    ax = record.plot(leads=["II", "V1"], start_s=2.0, length_s=4.0)
    assert [text.get_text() for text in ax.texts] == ["II", "V1"]
    width, _ = ax.get_figure(root=True).get_size_inches()
    assert width * 25.4 == pytest.approx(4.0 * 25.0)
    drawn = ax.lines[0].get_ydata()
    shown = record.lead("II")[1000:3000]
    np.testing.assert_allclose(np.ptp(drawn), 10 * np.ptp(shown))


def test_features_are_a_tidy_table(found: ecg4u.Analysis) -> None:
    frame = found.to_dataframe()
    assert not frame.duplicated(["key", "lead"]).any()
    assert frame["definition"].str.endswith(".").all()
    assert (frame["value"].notna() | frame["reason"].ne("")).all()
    rate = frame[(frame["key"] == "rate") & frame["lead"].isna()].iloc[0]
    assert rate["unit"] == "/min"
    assert set(frame["lead"].dropna()) == set(LEADS)


def test_without_an_explanation_there_is_no_table(record: ECGRecord) -> None:
    with pytest.raises(UsageError):
        ecg4u.analyse(record, classify=False).to_dataframe()


def test_pandas_there_and_back(record: ECGRecord) -> None:
    again = ECGRecord.from_dataframe(record.to_dataframe())
    np.testing.assert_array_equal(again.p_signal, record.p_signal)
    assert again.fs == record.fs
    with pytest.raises(ValueError, match="give fs"):
        ECGRecord.from_dataframe(record.to_dataframe().reset_index(drop=True))
    uneven = record.to_dataframe().drop(index=0.1)
    with pytest.raises(ValueError, match="evenly"):
        ECGRecord.from_dataframe(uneven)


def test_neurokit_there_and_back(record: ECGRecord) -> None:
    import neurokit2

    frame, fs = record.to_neurokit()
    np.testing.assert_array_equal(ECGRecord.from_neurokit(frame, fs).p_signal, record.p_signal)
    _, peaks = neurokit2.ecg_peaks(frame["II"], sampling_rate=int(fs))
    assert 10 <= len(peaks["ECG_R_Peaks"]) <= 15
    made = neurokit2.ecg_simulate(duration=4, sampling_rate=250, method="multileads")
    assert np.isfinite(ECGRecord.from_neurokit(made, 250).p_signal).all()


def test_wfdb_there_and_back(record: ECGRecord) -> None:
    again = ECGRecord.from_wfdb(record.to_wfdb())
    np.testing.assert_array_equal(again.p_signal, record.p_signal)
    read = wfdb.rdrecord(str(RECORD.with_suffix("")))
    np.testing.assert_allclose(ECGRecord.from_wfdb(read).p_signal, record.p_signal)
    read.units = ["uV"] * 12
    np.testing.assert_allclose(ECGRecord.from_wfdb(read).p_signal, record.p_signal / 1000)
    read.units = ["mmHg"] * 12
    with pytest.raises(ValueError, match="mmHg"):
        ECGRecord.from_wfdb(read)


def test_a_file_named_like_a_record_is_told_why_it_is_none(tmp_path: Path) -> None:
    table, header = tmp_path / "a.csv", tmp_path / "b.edf"
    table.write_text("patient,age\n1,2\n")
    header.write_text("nothing")
    with pytest.raises(UnreadableInputError, match="no header line with lead names"):
        ecg4u.classify(table)
    with pytest.raises(UnreadableInputError, match="not a record of a known format"):
        ecg4u.classify(header)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cohort_loses_nothing(workers: int, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    paths = [RECORD, broken, RECORD.with_name("ptbxl_01416.hea"), tmp_path / "missing.png"]
    told: list[tuple[int, int]] = []
    cohort = ecg4u.analyse_many(
        paths, workers=workers, explain=False, progress=lambda n, of: told.append((n, of))
    )
    assert [entry.path for entry in cohort] == [str(path) for path in paths]
    assert [entry.path for entry in cohort.failures] == [str(paths[1]), str(paths[3])]
    assert all(entry.error_code == "unreadable_input" and entry.error for entry in cohort.failures)
    assert list(cohort.records) == [str(paths[0]), str(paths[2])]
    assert told == [(n, 4) for n in range(1, 5)]
    frame = cohort.to_dataframe()
    assert list(frame["path"]) == [str(path) for path in paths]
    alone = ecg4u.classify(RECORD)
    assert frame.loc[0, "AF_probability"] == pytest.approx(alone.probabilities["AF"], abs=1e-6)
    assert frame["headline"].tolist()[2].startswith("Premature ventricular beats")
    assert frame["AF_probability"].isna().tolist() == [False, True, False, True]


def test_a_cohort_takes_a_folder_without_what_ecg4u_left_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in (".hea", ".dat"):
        shutil.copy(RECORD.with_suffix(suffix), tmp_path)
    ecg4u.write_record(ecg4u.read_record(RECORD), tmp_path / "page.csv")
    (tmp_path / "page.page.json").write_text("{}")
    monkeypatch.chdir(tmp_path.parent)
    for given in (tmp_path, tmp_path.name, [tmp_path]):
        cohort = ecg4u.analyse_many(given, classify=False)
        folder = given[0] if isinstance(given, list) else given
        assert [entry.path for entry in cohort] == [f"{folder}/{RECORD.name}"]
        assert cohort.own_output == 1
    assert len(ecg4u.analyse_many(RECORD, classify=False)) == 1


def test_a_cohort_in_which_nothing_can_be_read_is_still_a_table(tmp_path: Path) -> None:
    cohort = ecg4u.analyse_many([tmp_path / "missing.png"])
    assert cohort.to_dataframe()["error_code"].tolist() == ["unreadable_input"]
    assert len(ecg4u.analyse_many([]).to_dataframe()) == 0
    with pytest.raises(UsageError, match="AF"):
        cohort.to_shap("AF")
    with pytest.raises(UsageError):
        ecg4u.analyse_many([], classes=["VF"])


def test_the_same_version_everywhere() -> None:
    from importlib.metadata import version

    from ecg4u.analysis import versions

    assert versions()["ecg4u"] == ecg4u.__version__
    assert version("ecg4u")  # installed, whatever checkout it points to
