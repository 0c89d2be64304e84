"""Documents that repeat what the code says, and code that documents show."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import ecg4u
from benchmarks.features import OUT, table

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "examples" / "cohort.ipynb"


def test_the_table_of_features_is_that_of_the_code() -> None:
    assert OUT.read_text() == table()


def test_version_and_citation_agree_and_the_changelog_has_the_version() -> None:
    assert f"version: {ecg4u.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{ecg4u.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_readme_is_short_and_has_one_table() -> None:
    text = (ROOT / "README.md").read_text()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert len(prose.split()) <= 900
    assert len(re.findall(r"^\|[-| :]+\|$", text, flags=re.MULTILINE)) <= 1


def test_no_document_of_the_site_names_a_page_that_is_not_there() -> None:
    named = re.findall(r": (\S+\.(?:md|ipynb))$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert len(named) > 10
    for name in named:
        assert (ROOT / "docs" / name).is_file(), name


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text()):
            if "://" not in target and not target.startswith("mailto:"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.slow
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.chdir(NOTEBOOK.parent)
    names: dict[str, object] = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    cohort = names["cohort"]
    assert isinstance(cohort, ecg4u.Cohort)
    assert len(cohort) == 6
    assert not cohort.failures
