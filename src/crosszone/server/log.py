"""The log on standard error: a line per request, as text or as JSON."""

from __future__ import annotations

import datetime
import json
import logging
import sys

OURS = "crosszone.server"


class Line(logging.Formatter):
    """One record as one line; what a record has as `fields` are keys of their own in JSON."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        fields = getattr(record, "fields", {})
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self.as_json:
            value = {"time": moment, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
            return json.dumps({**value, **fields, **({"exception": trace} if trace else {})}, ensure_ascii=True)
        told = " ".join(f"{key}={json.dumps(each, ensure_ascii=True)}" for key, each in fields.items())
        # What came from a network must not look like lines of its own.
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        return f"{moment} {record.levelname} {message} {told}".rstrip() + (f"\n{trace}" if trace else "")


def start_log(*, as_json: bool) -> None:
    """Send our log, and what the web server warns of, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line(as_json=as_json))
    for name, level in ((OURS, logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
