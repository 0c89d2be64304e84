"""The service's log as JSON lines, for collectors that read these."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, and of a request method, route, status and ms."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"time": time, "level": record.levelname, "logger": record.name}
        request = getattr(record, "request", None)
        more = request if request is not None else {"message": record.getMessage()}
        return json.dumps({**said, **more}, ensure_ascii=False)
