"""The HTTP interface on one page, made from its OpenAPI description; no request leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecg4u.report.document import csp_hash
from ecg4u.report.markup import Markup, page, tag

STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;"
    "margin:1rem auto;padding:0 1rem}code,pre{font-size:.9em}pre{overflow-x:auto;padding:.75rem;"
    "border:1px solid #8886;border-radius:.4rem}section{border-top:1px solid #8886;padding:.5rem 0}"
    "h2{font-size:1.05rem;margin:.5rem 0}ul{margin:.3rem 0}"
)
DOCS_POLICY = f"default-src 'none'; base-uri 'none'; style-src {csp_hash(STYLE)}"
EXAMPLE = """curl -F image=@page.jpg http://localhost:8080/v1/ecg
curl -F image=@page.jpg -F 'options={"age": 61, "sex": "F"}' \\
     'http://localhost:8080/v1/ecg?wait=false'"""


def docs_page(schema: Mapping[str, Any]) -> str:
    """Every path with its method, purpose and answers."""
    parts = [
        _operation(method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    title = f"{schema['info']['title']} {schema['info']['version']}: HTTP interface"
    machine = tag("a", "openapi.json", attrs={"href": "/openapi.json"})
    main = tag(
        "main",
        tag("h1", title),
        tag("p", schema["info"].get("description", ""), " For machines: ", machine, "."),
        tag("pre", tag("code", EXAMPLE)),
        *parts,
    )
    return page(title, STYLE, main)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Markup:
    answers = operation.get("responses", {})
    items = (
        tag("li", tag("code", status), f" {answer.get('description', '')}")
        for status, answer in sorted(answers.items())
    )
    return tag(
        "section",
        tag("h2", tag("code", f"{method.upper()} {path}")),
        tag("p", operation.get("summary", "")),
        tag("ul", *items),
    )
