"""The HTTP service: routes, and how an upload becomes an answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ecg4u._version import __version__
from ecg4u.report.document import csp_hash, script, style
from ecg4u.texts import SOURCE, preferred
from ecg4u.web.docs import DOCS_POLICY, docs_page
from ecg4u.web.guard import Guard
from ecg4u.web.jobs import Job, Jobs
from ecg4u.web.legacy import legacy_results
from ecg4u.web.metrics import Metrics
from ecg4u.web.options import AnalysisOptions, Correction
from ecg4u.web.problems import (
    BAD_REQUEST,
    EMPTY,
    INTERNAL,
    NOT_EXPORTED,
    NOTHING_TO_CORRECT,
    TOO_LARGE,
    UNKNOWN_ID,
    WRONG_TYPE,
    Problem,
)
from ecg4u.web.settings import Settings
from ecg4u.web.shell import page_in
from ecg4u.web.sniff import is_page

Upload = Annotated[UploadFile, File(description="A page: PNG, JPEG, TIFF, BMP, WebP, HEIC or PDF")]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text}
    for status, text in {
        400: "Malformed request",
        401: "A token is required",
        404: "There is no such result, or it has been deleted",
        408: "The upload was too slow",
        413: "The file is too large",
        415: "Not a picture or PDF",
        422: "No readable ECG, or an invalid option",
        429: "Too many uploads from this address",
        503: "Too many pages are waiting; see Retry-After",
    }.items()
}
STATIC = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "correct.js": "text/javascript; charset=utf-8",
    "example.jpg": "image/jpeg",
    "icon.svg": "image/svg+xml",
    "icon-192.png": "image/png",
    "icon-512.png": "image/png",
}
KEPT = ("page", "explain", "dpi", "age", "sex", "exports")
"""Options of the first reading that hold for a corrected one; the rest is in the sidecar."""
EXPORTED = {
    "report.pdf": ("application/pdf", "The report on one A4 page"),
    "signals.dcm": ("application/dicom", "12-Lead ECG Waveform Storage"),
    "report.dcm": (
        "application/dicom",
        "The one-page report as Encapsulated PDF Storage, in the same study",
    ),
    "fhir.json": ("application/fhir+json", "A Bundle of DiagnosticReport and Observations, R4"),
}
"""Files of `ecg4u.report.exports`; they are there where the upload's options asked for them."""
PRIVATE = {"Cache-Control": "no-store"}


def page_policy() -> str:
    """The content-security policy of the page; the report's own style and script may run in it."""
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "connect-src 'self'; manifest-src 'self'; worker-src 'self'; frame-src 'self'; "
        "img-src 'self' data: blob:; "
        f"style-src 'self' {csp_hash(style())}; script-src 'self' {csp_hash(script())}"
    )


def create_app(
    settings: Settings | None = None, *, jobs: Jobs | None = None, metrics: Metrics | None = None
) -> FastAPI:
    """The service as an ASGI application.

    Parameters
    ----------
    settings : Settings, optional
        Limits and doors.
    jobs, metrics
        In place of its own, for tests.
    """
    limits = settings or Settings()
    counted = metrics or Metrics()
    queue = jobs or Jobs(limits, counted)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        queue.open()
        try:
            yield
        finally:
            await queue.close()

    app = FastAPI(
        title="ecg4u",
        version=__version__,
        description="From paper ECGs to signals, classes and reasons. Not a medical device.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    _add_problems(app)
    _add_page(app)
    _add_state(app, queue, counted)
    _add_uploads(app, queue, limits)
    _add_results(app, queue)
    _add_exports(app, queue)
    app.state.drain = queue.drain
    if limits.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(limits.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Location", "Retry-After"],
        )
    if limits.hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(limits.hosts))
    app.add_middleware(Guard, settings=limits, metrics=counted, knows=queue.knows)
    return app


def _add_problems(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def known(request: Request, error: Problem) -> JSONResponse:
        return JSONResponse(error.to_dict(), error.status, headers=error.headers())

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(BAD_REQUEST.to_dict(), BAD_REQUEST.status)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods_at(app, request))
        words = {404: "There is nothing here.", 405: "This method is not allowed here."}
        message = words.get(error.status_code, "The request could not be read.")
        problem = Problem(error.status_code, "http", message, "See /openapi.json.")
        return JSONResponse(problem.to_dict(), error.status_code, headers=headers)

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(INTERNAL.to_dict(), INTERNAL.status)


def _methods_at(app: FastAPI, request: Request) -> list[str]:
    """The methods that a path answers, over all routes that match it."""
    methods: set[str] = set()
    for route in app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


def _add_page(app: FastAPI) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", summary="The web page for browsers, the status for other clients")
    async def root(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"data": "Api running"}, headers={"Vary": "Accept"})
        headers = {
            "Content-Security-Policy": page_policy(),
            "Vary": "Accept, Accept-Language",
            "Content-Language": _language(request),
            "Cache-Control": "no-cache",
        }
        return HTMLResponse(page_in(_language(request)), headers=headers)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        headers = {"Content-Security-Policy": DOCS_POLICY}
        return HTMLResponse(docs_page(app.openapi()), headers=headers)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(404)
        return Response(
            _static(name), media_type=STATIC[name], headers={"Cache-Control": "no-cache"}
        )

    @app.get("/manifest.webmanifest", include_in_schema=False)
    async def manifest() -> Response:
        return Response(_static("manifest.webmanifest"), media_type="application/manifest+json")

    @app.get("/sw.js", include_in_schema=False)
    async def service_worker() -> Response:
        return Response(
            _static("sw.js"),
            media_type="text/javascript; charset=utf-8",
            headers={
                "Cache-Control": "no-cache",
                "Content-Security-Policy": "default-src 'none'; connect-src 'self'",
            },
        )


def _static(name: str) -> bytes:
    return (resources.files("ecg4u.web") / "static" / name).read_bytes()


def _add_state(app: FastAPI, queue: Jobs, metrics: Metrics) -> None:
    @app.get("/health", summary="Whether the service is alive")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Whether the workers are ready", responses={503: PROBLEMS[503]})
    async def ready() -> JSONResponse:
        if queue.ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "warming up"}, 503, headers={"Retry-After": "5"})

    @app.get(
        "/metrics",
        response_class=PlainTextResponse,
        summary="Counters in the Prometheus text format",
    )
    async def show_metrics() -> PlainTextResponse:
        gauges = {"pages_unfinished": float(queue.unfinished), "results_kept": float(queue.kept)}
        return PlainTextResponse(metrics.exposition(gauges))


def _add_uploads(app: FastAPI, queue: Jobs, limits: Settings) -> None:
    @app.post(
        "/predict",
        responses=PROBLEMS,
        summary="Classes, in the format of the original ECG4U service",
    )
    async def predict(request: Request, image: Upload) -> JSONResponse:
        data = await _read(image, limits)
        job = queue.submit(data, AnalysisOptions().to_work(), _client(request))
        result = json.loads((await _outcome(job)).result)
        return JSONResponse(legacy_results(result), headers={**PRIVATE, **_location(job)})

    @app.post(
        "/v1/ecg",
        responses={**PROBLEMS, 202: {"description": "Accepted; poll the URL in Location"}},
        summary="The whole result.json of a page",
    )
    async def upload(
        request: Request,
        image: Upload,
        options: Annotated[str, Form(description="AnalysisOptions as JSON")] = "{}",
        wait: Annotated[bool, Query(description="Answer once the result is ready")] = True,
    ) -> Response:
        chosen = AnalysisOptions.from_json(options)
        data = await _read(image, limits)
        job = queue.submit(data, {**chosen.to_work(), **_spoken(request)}, _client(request))
        return await _answer(queue, job, wait=wait)

    @app.post(
        "/v1/ecg/{identifier}/correct",
        responses={**PROBLEMS, 202: {"description": "Accepted; poll the URL in Location"}},
        summary="Read the page again with the user's corrections",
    )
    async def correct(
        request: Request, identifier: str, correction: Correction, wait: bool = True
    ) -> Response:
        earlier = queue.get(identifier)
        made = await _outcome(earlier)
        if not made.sidecar:
            raise NOTHING_TO_CORRECT
        said = {"sidecar": made.sidecar, "correction": correction.to_corrected()}
        kept = {name: earlier.options[name] for name in KEPT if name in earlier.options}
        options = {**kept, **correction.patient(), **said, **_spoken(request)}
        job = queue.submit(earlier.source, options, _client(request))
        return await _answer(queue, job, wait=wait)


def _add_results(app: FastAPI, queue: Jobs) -> None:
    @app.get(
        "/v1/ecg/{identifier}",
        responses={**PROBLEMS, 202: {"description": "Not finished yet"}},
        summary="result.json, or the progress so far",
    )
    async def result(identifier: str) -> Response:
        return await _answer(queue, queue.get(identifier), wait=False)

    @app.delete(
        "/v1/ecg/{identifier}",
        status_code=204,
        responses=PROBLEMS,
        summary="Delete the page and its result now",
    )
    async def delete(identifier: str) -> Response:
        queue.forget(identifier)
        return Response(status_code=204)

    @app.get("/v1/ecg/{identifier}/report", responses=PROBLEMS, response_class=HTMLResponse)
    async def report(identifier: str) -> HTMLResponse:
        from ecg4u.report import content_security_policy

        made = await _outcome(queue.get(identifier))
        headers = {"Content-Security-Policy": content_security_policy(), **PRIVATE}
        return HTMLResponse(made.report, headers=headers)

    @app.get("/v1/ecg/{identifier}/signals.zip", responses=PROBLEMS, response_class=Response)
    async def signals_zip(identifier: str) -> Response:
        made = await _outcome(queue.get(identifier))
        return _download(made.signals_zip, "application/zip", "ecg-signals.zip")

    @app.get("/v1/ecg/{identifier}/signals.csv", responses=PROBLEMS, response_class=Response)
    async def signals_csv(identifier: str) -> Response:
        made = await _outcome(queue.get(identifier))
        return _download(made.signals_csv, "text/csv; charset=utf-8", "ecg-signals.csv")

    @app.get(
        "/v1/ecg/{identifier}/page",
        responses=PROBLEMS,
        summary="The page's corners, scale and segments, for display and correction",
    )
    async def page(identifier: str) -> Response:
        job = queue.get(identifier)
        view = queue.early(job, "view") or _there((await _outcome(job)).view)
        return Response(view, media_type="application/json", headers=PRIVATE)

    @app.get("/v1/ecg/{identifier}/page.webp", responses=PROBLEMS, response_class=Response)
    async def page_picture(identifier: str) -> Response:
        job = queue.get(identifier)
        picture = queue.early(job, "picture") or _there((await _outcome(job)).picture)
        return Response(picture, media_type="image/webp", headers=PRIVATE)

    @app.get("/v1/ecg/{identifier}/sidecar.json", responses=PROBLEMS, response_class=Response)
    async def sidecar(identifier: str) -> Response:
        made = await _outcome(queue.get(identifier))
        return _download(_there(made.sidecar), "application/json", "ecg-page.json")


def _add_exports(app: FastAPI, queue: Jobs) -> None:
    def add(name: str, media_type: str, summary: str) -> None:
        path = f"/v1/ecg/{{identifier}}/{name}"

        @app.get(path, responses=PROBLEMS, response_class=Response, summary=summary)
        async def exported(identifier: str) -> Response:
            made = await _outcome(queue.get(identifier))
            if name not in made.exports:
                raise NOT_EXPORTED
            return _download(made.exports[name], media_type, f"ecg-{name}")

    for name, (media_type, summary) in EXPORTED.items():
        add(name, media_type, summary)


def _there(part: bytes) -> bytes:
    if not part:
        raise UNKNOWN_ID
    return part


def _download(data: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **PRIVATE}
    return Response(data, media_type=media_type, headers=headers)


async def _read(image: UploadFile, limits: Settings) -> bytes:
    data = await image.read(limits.max_upload_bytes + 1)
    await image.close()
    if not data:
        raise EMPTY
    if len(data) > limits.max_upload_bytes:
        raise TOO_LARGE
    if not is_page(data):
        raise WRONG_TYPE
    return data


def _language(request: Request) -> str:
    return preferred(request.headers.get("accept-language", ""))


def _spoken(request: Request) -> dict[str, str]:
    """The language of the report as an option of the work, where it is not English."""
    language = _language(request)
    return {} if language == SOURCE else {"language": language}


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


async def _outcome(job: Job) -> Any:
    await job.finished.wait()
    if job.problem is not None or job.outcome is None:
        raise job.problem or INTERNAL
    return job.outcome


async def _answer(queue: Jobs, job: Job, *, wait: bool) -> Response:
    headers = {**PRIVATE, **_location(job)}
    if not wait and not job.finished.is_set():
        stage, ahead = queue.stage(job), queue.ahead(job)
        state = {
            "id": job.id,
            "state": "running",
            "stage": stage,
            "ahead": ahead,
            "page": bool(queue.early(job, "view")),
            "summary": json.loads(queue.early(job, "summary") or "[]"),
        }
        return JSONResponse(state, 202, headers={**headers, "Retry-After": "1"})
    made = await _outcome(job)
    return Response(made.result, media_type="application/json", headers=headers)


def _location(job: Job) -> dict[str, str]:
    return {"Location": f"/v1/ecg/{job.id}"}
