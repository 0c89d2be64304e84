"""The gallery of the docs: reports of ten pages, with what a teacher would say of each.

    python -m benchmarks.gallery --images ../shared/images

Writes ``docs/gallery/NAME.html`` (the report, the page's picture beside it as ``NAME.jpg``) and
``docs/gallery/results.md``, the table of what network and criteria said.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from ecg4u.analysis import Analysis, analyse

PICTURE_PX = 1000


@dataclass(frozen=True)
class Case:
    """A page of the gallery; ``truth`` is what is known of it without this program."""

    name: str
    page: str
    truth: str
    source: str


REAL = "photograph or scan of a real page; ecg-image-kit sample {} (public domain, BSD-3-Clause)"
PHOTO = (
    "phone photograph of a printed page; ECG-Paper-1K preview (Padhi et al., KDD 2026, MIT) of "
    "PTB-XL {} (CC BY 4.0)"
)
DRAWN = "drawn with ecg-image-kit (BSD-3-Clause) from PTB-XL {} (CC BY 4.0)"
CASES = (
    Case(
        "normal",
        "photos_with_truth/02190.jpg",
        "by eye: sinus rhythm, nothing abnormal",
        PHOTO.format("02190"),
    ),
    Case("af", "generated/A06201.png", "AF", DRAWN.format("06201")),
    Case(
        "first-degree-block",
        "real_pages/45.jpg",
        "by eye: PR of five and a half small squares in II (220 ms); ST depression and inverted T "
        "in V3 to V6",
        REAL.format(45),
    ),
    Case("lbbb", "generated/C20893.png", "LBBB", DRAWN.format("20893")),
    Case("rbbb", "real_pages/11.jpg", "RBBB with ST elevation V1-V4", REAL.format(11)),
    Case("pac", "generated/A06562.png", "PAC", DRAWN.format("06562")),
    Case("pvc", "real_pages/43.jpg", "ventricular premature beats", REAL.format(43)),
    Case(
        "st-depression",
        "real_pages/17.png",
        "by eye: ST depression of 3 mm in V2 and V3; ventricular bigeminy in I to III",
        REAL.format(17),
    ),
    Case("st-elevation", "real_pages/33.jpg", "large anterior ST elevation", REAL.format(33)),
    Case(
        "look-again",
        "real_pages/29.jpg",
        "sinus rhythm; rSr′ and coved ST in V1-V2",
        REAL.format(29),
    ),
    Case(
        "paced",
        "real_pages/53.png",
        "printed: atrial-sensed ventricular-paced rhythm; rate 61, PR 146, QRS 128, QT 490, "
        "QTc 493 ms; axes P 67°, QRS 44°",
        REAL.format(53),
    ),
)


HEAD = (
    "| page | known of it | the network finds | by the criteria | look again | source |",
    "|---|---|---|---|---|---|",
)


def said(analysis: Analysis) -> tuple[str, str]:
    """Classes found by the network and by the criteria."""
    network = "–"
    if analysis.classification is not None:
        network = ", ".join(
            f"{r.name} {100 * r.probability:.0f} %" for r in analysis.classification.positive
        ) or "none"  # fmt: skip
    rows = analysis.explanation.criteria if analysis.explanation else ()
    met = [c.class_name for c in rows if c.decides and c.outcome == "met"]
    open_ = [f"{c.class_name}?" for c in rows if c.decides and c.outcome == "cannot tell"]
    return network, ", ".join(met + open_) or "none"


def write(case: Case, images: Path, out: Path) -> str:
    """One report and its picture; the row of the table."""
    from PIL import Image, ImageOps

    from ecg4u.report import render

    analysis = analyse(images / case.page)
    html = render(analysis, title=f"12-lead ECG: {case.name}", page_image=False)
    (out / f"{case.name}.html").write_text(html, encoding="utf-8")
    picture = ImageOps.exif_transpose(Image.open(images / case.page)).convert("RGB")
    picture.thumbnail((PICTURE_PX, PICTURE_PX))
    picture.save(out / f"{case.name}.jpg", quality=70)
    network, criteria = said(analysis)
    look = len(analysis.explanation.conflicts) if analysis.explanation else 0
    return (
        f"| [{case.name}]({case.name}.html) ([page]({case.name}.jpg)) | {case.truth} | {network} | "
        f"{criteria} | {look} | {case.source} |"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=Path("../shared/images"))
    parser.add_argument("--only", help="names, with commas")
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    only = given.only.split(",") if given.only else [case.name for case in CASES]
    results = given.out / "results.md"
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    rows = {line.split("]")[0]: line for line in lines if line.startswith("| [")}
    for case in CASES:
        if case.name in only:
            rows[f"| [{case.name}"] = write(case, given.images, given.out)
            print(rows[f"| [{case.name}"], flush=True)
    told = [rows[f"| [{case.name}"] for case in CASES if f"| [{case.name}" in rows]
    results.write_text("\n".join([*HEAD, *told]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
