# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Structured logs: one record an event, on stderr, for people or for machines.

Records of our own go through structlog and never touch the standard library's loggers. Those are
for libraries: they come out in the same format, but from WARNING up only, whatever ``--log-level``
says. That is a rule of safety, not of taste: kubernetes_asyncio logs whole response bodies at
DEBUG, which may be Secrets. It is enforced at the handler, because a library can raise the level
of its own loggers (``kubernetes_asyncio.client.Configuration(debug=True)`` does).

Tracebacks never show local variables (structlog and Rich would, by default): they may be Secrets
too. In the JSON format a traceback is one string in its record. In the console format control
characters in values are escaped, so that text from a custom resource cannot forge a line.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, TypeAlias

import orjson
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Format: TypeAlias = Literal["console", "json"]

LIBRARY_LEVEL: Final = logging.WARNING  # never lower: see the docstring
QUIET_LIBRARIES: Final = ("aiohttp", "asyncio", "kubernetes_asyncio")

_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}


def configure(
    level: Level = "info", fmt: Format = "console", *, stream: TextIO | None = None
) -> None:
    """Set up structlog and the standard library's logging for the whole process.

    Args:
        level: lowest level of our own records.
        fmt: ``console`` for people, ``json`` for machines: one object a line.
        stream: where to; stderr by default.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering = _json_rendering() if fmt == "json" else _console_rendering(stream)
    structlog.configure(
        processors=[*shared, _add_logger_name, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=_logger_factory(stream),
        cache_logger_on_first_use=True,
    )
    _configure_libraries(stream, [*shared, structlog.stdlib.add_logger_name], rendering)


def _configure_libraries(
    stream: TextIO, shared: list[Processor], rendering: list[Processor]
) -> None:
    handler = logging.StreamHandler(stream)
    handler.setLevel(LIBRARY_LEVEL)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LIBRARY_LEVEL)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(LIBRARY_LEVEL)


def _json_rendering() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_dump),
    ]


def _console_rendering(stream: TextIO) -> list[Processor]:
    return [
        _escape_control_characters,
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
            sort_keys=False,
        ),
    ]


class _NamedLogger(structlog.WriteLogger):
    """Writes a whole record at once; knows the module that logs."""

    def __init__(self, stream: TextIO, name: str) -> None:
        super().__init__(stream)
        self.name = name


def _logger_factory(stream: TextIO) -> Callable[..., _NamedLogger]:
    def make(name: str = "", *_: Any) -> _NamedLogger:
        return _NamedLogger(stream, name)

    return make


def _add_logger_name(logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    if logger.name:
        event_dict["logger"] = logger.name
    return event_dict


def _escape_control_characters(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    for name, value in event_dict.items():
        if isinstance(value, str) and not value.isprintable():
            event_dict[name] = value.translate(_CONTROL)
    return event_dict


def _dump(event_dict: EventDict, **_: Any) -> str:
    """A record as JSON. A record that cannot be written is worse than an odd one."""
    try:
        return orjson.dumps(event_dict, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # e.g. a lone surrogate, or an integer beyond 64 bits
        return json.dumps(event_dict, default=str, skipkeys=True)
