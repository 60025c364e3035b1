"""JSON logs: one object a line on stderr, with the request id of the running call."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from services.kit.scope import current_scope

_NOISY = ("asyncio", "grpc", "pymilvus", "httpx")


class _RequestId(logging.Filter):
    """Adds the running call's request id and method to records that do not name one."""

    def filter(self, record: logging.LogRecord) -> bool:
        scope = current_scope()
        if scope is not None:
            for name, value in (("request_id", scope.request_id), ("method", scope.method)):
                if not hasattr(record, name):
                    setattr(record, name, value)
        return True


def json_formatter() -> logging.Formatter:
    """Timestamp, level, logger, message, every `extra` field, and the trace of an exception."""
    return JsonFormatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "trace"},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )


def configure(level: str, log_format: str = "json", *, stream: TextIO | None = None) -> logging.Handler:
    """Send the process's logs to `stream` (default stderr). Called once, by `server.run`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_RequestId())
    if log_format == "json":
        handler.setFormatter(json_formatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    return handler
