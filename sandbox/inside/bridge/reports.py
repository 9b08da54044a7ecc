"""What a program reports while it runs, for tests that listen: log records and warnings.

They cross as plain data and are reported again in the judge's process, to the test's own handlers and filters.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

from sandbox.inside.values.plain import CodecError

_MAX_REPORTS = 10_000  # of one message
_TEXT = 10_000
_MAX_NUMBER = 1 << 31
_LEVELS = 1_000


class Logging:
    """The judge's side: its loggers' levels go over, the program's records come back."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, bool]] = self._now()
        self._disabled = logging.root.manager.disable

    def collect(self) -> dict[str, object] | None:
        now, disabled = self._now(), logging.root.manager.disable
        changes = {name: state for name, state in now.items() if self._known.get(name, (0, False)) != state}
        if not changes and disabled == self._disabled:
            return None
        self._known, self._disabled = now, disabled
        return {"levels": changes, "disable": disabled}

    def apply(self, records: Any) -> None:
        if type(records) is not list or len(records) > _MAX_REPORTS:
            raise CodecError("malformed log records")
        # Without a handler it was printed there, as it would be here.
        last_resort, logging.lastResort = logging.lastResort, None
        try:
            for name, level, text, function, line, trace in records:
                kinds = [type(part) for part in (name, level, text, function, line)]
                if (
                    kinds != [str, int, str, str, int]
                    or not 0 <= min(level, line) <= max(level, line) < _MAX_NUMBER
                    or type(trace) not in (str, type(None))
                ):
                    raise CodecError("malformed log record")
                fields = {
                    "name": name[:200],
                    "levelno": level,
                    "levelname": logging.getLevelName(level),
                    "msg": text,
                    "funcName": function[:200],
                    "lineno": line,
                    "exc_text": trace,
                    "module": "solution",
                    "pathname": "<program>",
                    "filename": "<program>",
                }
                logging.getLogger(_logger_name(name)).handle(logging.makeLogRecord(fields))
        finally:
            logging.lastResort = last_resort

    @staticmethod
    def _now() -> dict[str, tuple[int, bool]]:
        loggers = {"": logging.root, **logging.root.manager.loggerDict}
        return {
            name: (logger.level, logger.disabled)
            for name, logger in loggers.items()
            if isinstance(logger, logging.Logger)
        }


class LoggingHere:
    """The program's side of `Logging`."""

    def __init__(self) -> None:
        self._records: list[list[object]] = []
        handle = logging.Logger.callHandlers

        def also_recorded(logger: logging.Logger, record: logging.LogRecord) -> None:
            if len(self._records) < _MAX_REPORTS:
                self._records.append(_record(logger, record))
            handle(logger, record)

        logging.Logger.callHandlers = also_recorded  # type: ignore[method-assign, assignment]

    def collect(self) -> list[list[object]] | None:
        records, self._records = self._records, []
        return records or None

    def apply(self, changes: Any) -> None:
        logging.disable(changes["disable"])
        for name, (level, disabled) in changes["levels"].items():
            logger = logging.getLogger(name or None)
            logger.setLevel(level)
            logger.disabled = disabled


def _record(logger: logging.Logger, record: logging.LogRecord) -> list[object]:
    trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else record.exc_text
    name = "" if logger is logging.root else record.name
    text = record.getMessage()[:_TEXT]
    return [name, record.levelno, text, str(record.funcName), record.lineno, trace and trace[:_TEXT]]


def _logger_name(name: str) -> str | None:
    return name if name and name != "root" and len(logging.root.manager.loggerDict) < _LEVELS else None


class Warnings:
    """The judge's side: warns again what the program warned."""

    def __init__(self) -> None:
        self.raised: Warning | None = None  # where the test's filters make an error of it

    def collect(self) -> None:
        return None

    def apply(self, found: Any) -> None:
        if type(found) is not list or len(found) > _MAX_REPORTS:
            raise CodecError("malformed warnings")
        for warning, line in found:
            if not isinstance(warning, Warning) or type(line) is not int or not 0 <= line < _MAX_NUMBER:
                raise CodecError("malformed warning")
            try:
                warnings.warn_explicit(warning, type(warning), "<program>", line, registry={})
            except Warning as error:
                self.raised = error


class WarningsHere:
    """The program's side: sends every warning that the program itself does not filter."""

    def __init__(self) -> None:
        self._found: list[tuple[Warning, int]] = []
        warnings.resetwarnings()
        warnings.simplefilter("always")
        warnings.showwarning = self._keep  # type: ignore[assignment]

    def _keep(self, message: Any, category: object, filename: object, lineno: int, *rest: object) -> None:
        if len(self._found) < _MAX_REPORTS:
            self._found.append((message, lineno))

    def collect(self) -> list[tuple[Warning, int]] | None:
        found, self._found = self._found, []
        return found or None

    def apply(self, nothing: Any) -> None:
        pass
