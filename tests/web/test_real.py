"""The service with the real analyses: corrections, planted names, bombs, the first client."""

from __future__ import annotations

import io
import json
import logging
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from served import SETTINGS

from ecg4u.web import create_app
from ecg4u.web.jobs import Jobs
from ecg4u.web.metrics import Metrics

pytestmark = pytest.mark.slow
PAGES = Path(__file__).parent.parent.parent / "data" / "pages"
PLANTED = ("DOEJANEX", "1950:01:17", "KIRCHSTRASSE", "52.0907")
REAL = replace(
    SETTINGS,
    timeout_s=300.0,
    memory_mb=3000,
    max_upload_bytes=20_000_000,
    keep_s=900.0,
    keep_results=100,
)


@pytest.fixture(scope="module")
def jobs() -> Jobs:
    return Jobs(REAL, Metrics())


@pytest.fixture(scope="module")
def real(jobs: Jobs) -> Iterator[TestClient]:
    with TestClient(create_app(REAL, jobs=jobs)) as client:
        yield client


def send(client: TestClient, data: bytes, name: str = "page", path: str = "/v1/ecg") -> Response:
    return client.post(path, files={"image": (name, data)})


@pytest.fixture(scope="module")
def read(real: TestClient) -> Response:
    page = {"image": ("page", (PAGES / "A00347.png").read_bytes())}
    options = {"options": '{"exports": ["pdf", "dicom", "fhir"]}'}
    answer = real.post("/v1/ecg", files=page, data=options)
    assert answer.status_code == 200, answer.text
    return answer


def signals(client: TestClient, where: str) -> dict[str, list[float]]:
    lines = client.get(f"{where}/signals.csv").text.splitlines()
    rows = [line.split(",") for line in lines]
    return {
        name.removesuffix("_mV"): [
            float(row[i]) if row[i] not in ("", "nan", "NaN") else 0.0 for row in rows[1:]
        ]
        for i, name in enumerate(rows[0])
    }


def test_exports_are_those_of_the_result(real: TestClient, read: Response) -> None:
    where = read.headers["location"]
    assert real.get(f"{where}/report.pdf").content.startswith(b"%PDF")
    assert real.get(f"{where}/fhir.json").json()["resourceType"] == "Bundle"
    for name in ("signals.dcm", "report.dcm"):
        assert real.get(f"{where}/{name}").content[128:132] == b"DICM"


def test_two_leads_are_swapped_and_the_rest_stays(real: TestClient, read: Response) -> None:
    where = read.headers["location"]
    view = real.get(f"{where}/page").json()
    ids = {s["lead"]: s["id"] for s in view["segments"] if not s["rhythm"]}
    said = {"names": {ids["V1"]: "V2", ids["V2"]: "V1"}}
    answer = real.post(f"{where}/correct", json=said)
    assert answer.status_code == 200, answer.text
    before, after = signals(real, where), signals(real, answer.headers["location"])
    assert after["V1"] == before["V2"]
    assert after["V2"] == before["V1"]
    assert after["V3"] == before["V3"]
    assert after["II"] == before["II"]


def test_a_gain_scales_and_a_stretch_is_replaced(real: TestClient, read: Response) -> None:
    where = read.headers["location"]
    view = real.get(f"{where}/page").json()
    segment = next(s for s in view["segments"] if s["lead"] == "aVL")
    x0, _, x1, _ = segment["box"]
    span = [x0 + (x1 - x0) * 0.4, x0 + (x1 - x0) * 0.6]
    y = next(point[1] for point in segment["polyline"] if point and point[0] >= span[0])
    flat = [[span[0], y], [span[1], y]]
    said = {"gain_mm_per_mv": 5, "redraw": [{"segment": segment["id"], "points": flat}]}
    again = real.post(f"{where}/correct", json=said)
    assert again.status_code == 200, again.text
    result = again.json()
    assert result["digitization"]["calibration"]["gain_mm_per_mv"] == 5
    assert result["digitization"]["calibration"]["gain_from"] == "user"
    before, after = signals(real, where), signals(real, again.headers["location"])
    assert max(after["V3"]) == pytest.approx(2 * max(before["V3"]), abs=0.02)
    changed = [
        i for i, (a, b) in enumerate(zip(before["aVL"], after["aVL"], strict=True))
        if abs(2 * a - b) > 0.02
    ]  # fmt: skip
    middle = after["aVL"][round(sum(changed) / len(changed))]
    assert max(changed) - min(changed) < 0.3 * 1250
    assert all(abs(after["aVL"][i] - middle) < 0.1 for i in changed)
    undone = real.get(where).json()["digitization"]["calibration"]["gain_mm_per_mv"]
    assert undone == 10


def test_corners_have_the_page_read_anew(real: TestClient, read: Response) -> None:
    where = read.headers["location"]
    view = real.get(f"{where}/page").json()
    width, height = view["page"]["width"], view["page"]["height"]
    corners = [[0, 0], [width, 0], [width, height], [0, height]]
    again = real.post(f"{where}/correct", json={"corners": corners})
    assert again.status_code == 200, again.text
    leads = again.json()["digitization"]["leads"]
    assert sum(lead["coverage"] > 0 for lead in leads.values()) == 12


@pytest.mark.parametrize(
    "said",
    [
        {"names": {"99.9": "I"}},
        {"layout": "no such"},
        {"corners": [[0, 0], [1, 0], [1, 1], [0, 1]]},
        {"redraw": [{"segment": "1.1", "points": None}]},
    ],
)
def test_corrections_that_make_no_sense(
    real: TestClient, read: Response, said: dict[str, object]
) -> None:
    answer = real.post(read.headers["location"] + "/correct", json=said)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "bad_sidecar"
    assert answer.json()["error"]["hint"]


def test_a_page_that_was_refused_cannot_be_corrected(real: TestClient) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (900, 700), "white").save(stream, format="PNG")
    answer = real.post("/v1/ecg?wait=false", files={"image": ("x", stream.getvalue())})
    again = real.post(answer.headers["location"] + "/correct", json={"gain_mm_per_mv": 5})
    assert again.status_code == 422
    assert again.json()["error"]["code"] in ("not_an_ecg", "poor_quality")


def marked_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = f"{PLANTED[0]} {PLANTED[2]}"
    exif[0x9003] = exif[0x0132] = f"{PLANTED[1]} 10:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 5.0, 26.0), 3: "E", 4: (5.0, 7.0, 0.0)})
    stream = io.BytesIO()
    with Image.open(PAGES / "phone.jpg") as page:
        page.save(stream, format="JPEG", quality=95, exif=exif, comment=" ".join(PLANTED).encode())
    return stream.getvalue()


def marked_png() -> bytes:
    info = PngInfo()
    info.add_text("PatientName", " ".join(PLANTED))
    info.add_itxt("Location", " ".join(PLANTED), zip=True)
    stream = io.BytesIO()
    with Image.open(PAGES / "A00347.png") as page:
        page.resize((1400, 1082)).save(stream, format="PNG", pnginfo=info)
    return stream.getvalue()


def marked_pdf() -> bytes:
    stream = io.BytesIO()
    with Image.open(PAGES / "A00347.png") as page:
        words = " ".join(PLANTED)
        page.convert("RGB").save(
            stream, format="PDF", resolution=200, title=words, author=words, subject=words
        )
    return stream.getvalue()


@pytest.mark.parametrize("marked", [marked_jpeg, marked_png, marked_pdf])
def test_what_a_file_says_beside_its_picture_comes_out_nowhere(
    real: TestClient,
    jobs: Jobs,
    marked: object,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = marked()  # type: ignore[operator]
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    name = "/home/x/DOEJANEX 1950:01:17 KIRCHSTRASSE 52.0907.jpg"
    answer = send(real, data, name)
    assert answer.status_code in (200, 422), answer.text
    texts = [answer.content, str(answer.headers).encode()]
    where = answer.headers.get("location")
    for part in ("report", "page", "page.webp", "sidecar.json", "signals.csv", "signals.zip"):
        if answer.status_code == 200:
            content = real.get(f"{where}/{part}").content
            texts.append(content)
            if part == "signals.zip":
                archive = zipfile.ZipFile(io.BytesIO(content))
                texts += [archive.read(member) for member in archive.namelist()]
    if answer.status_code == 200:
        picture = Image.open(io.BytesIO(real.get(f"{where}/page.webp").content))
        assert "exif" not in picture.info
        assert len(picture.getexif()) == 0
    texts += [real.get("/metrics").content, *(text.encode() for text in capfd.readouterr())]
    logged = [r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "faker"))]
    texts.append("\n".join(logged).encode())
    left = [path for path in Path(jobs.folder).rglob("*") if path.is_file()]
    assert left == []
    for text in texts:
        for word in PLANTED:
            assert word.encode() not in text
            assert word.encode("utf-16-le") not in text


def bomb_png() -> bytes:
    stream = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(stream, format="PNG")
    return stream.getvalue()


def bomb_text_png() -> bytes:
    """A small picture with a text chunk that unpacks to 200 MB."""
    stream = io.BytesIO()
    Image.new("RGB", (600, 400), "white").save(stream, format="PNG")
    whole = stream.getvalue()
    data = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    crc = zlib.crc32(b"zTXt" + data)
    chunk = len(data).to_bytes(4, "big") + b"zTXt" + data + crc.to_bytes(4, "big")
    return whole[:33] + chunk + whole[33:]


def bomb_pdf() -> bytes:
    """A page of 5 x 5 m."""
    stream = io.BytesIO()
    Image.new("1", (10, 10)).save(stream, format="PDF", resolution=0.05)
    return stream.getvalue()


@pytest.mark.parametrize("bomb", [bomb_png, bomb_text_png, bomb_pdf])
def test_bombs_are_refused_and_the_service_goes_on(real: TestClient, bomb: object) -> None:
    answer = send(real, bomb())  # type: ignore[operator]
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] in ("unreadable_input", "not_an_ecg", "poor_quality")
    assert error["message"]
    assert error["hint"]
    assert real.get("/health").status_code == 200


def test_the_first_form_and_the_whole_result_agree(real: TestClient, read: Response) -> None:
    data = (PAGES / "A00347.png").read_bytes()
    old = send(real, data, path="/predict").json()["results"]
    classes = {row["name"]: row for row in read.json()["classification"]["classes"]}
    assert [row["classification"] for row in old] == [
        "afib", "iavb", "lbbb", "rbbb", "pac", "pvc", "std", "ste", "normal"
    ]  # fmt: skip
    assert sorted(row["probability"] for row in old) == sorted(
        row["probability"] for row in classes.values()
    )
    assert all(isinstance(row["result"], bool) and row["reason"] for row in old)
    assert json.dumps(old).count("nan") == 0
