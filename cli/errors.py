"""What goes wrong in a command before or beside a service: `cli.console` turns it into an exit code."""

from __future__ import annotations

from evaluation.errors import DataError


class RequestError(ValueError):
    """A part of the request, as typed, cannot be read."""


class RecordError(DataError):
    """A line or file cannot be read as a design; the text names file, line and field."""


class MissingExtraError(RuntimeError):
    """Optional libraries are not installed; the text names them and the extra that brings them."""


class StackError(RuntimeError):
    """The stack could not be started or has lost a service; the text shows that service's last log lines."""
