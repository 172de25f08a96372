# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Reads the values of settings: a text in, a value out, or a ``ValueError``.

The message of the error says what is allowed, to be read after "is not".
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from configs.distributions import BadTable, Distributions
from llamastack_operator.observability.bind import MAX_PORT, BindAddress

Word = TypeVar("Word", bound=str)

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST_HOST: Final = 253
_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_QUANTITY = re.compile(r"[1-9][0-9]*(?:[kMGT]|[KMGT]i)?")
_DURATION = re.compile(r"(?=.)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


def text(value: str) -> str:
    """Any text."""
    return value


def namespace(text: str) -> str:
    """The name of a namespace, or nothing."""
    if text and not _LABEL.fullmatch(text):
        raise ValueError(
            "a namespace: at most 63 of a-z, 0-9 and '-', beginning and ending without '-'"
        )
    return text


def namespaces(text: str) -> tuple[str, ...]:
    """Names separated by commas, each once."""
    names = [namespace(name.strip()) for name in text.split(",")]
    return tuple(dict.fromkeys(name for name in names if name))


def switch(text: str) -> bool:
    """Yes or no."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("true or false")


def number(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers in a range."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def address(text: str) -> BindAddress:
    """Where to listen."""
    try:
        return BindAddress.parse(text)
    except ValueError:
        raise ValueError(
            "[HOST]:PORT, such as :8080 or 127.0.0.1:8080, with port 0 for any free one; "
            "or 0 to switch it off"
        ) from None


def port_or_off(text: str) -> int | None:
    """A port, or nothing."""
    if text == "off":
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_PORT):
        raise ValueError(f"a port from 0 to {MAX_PORT}, with 0 for any free one; or off")
    return int(text)


def host(text: str) -> str:
    """A name or an address, or nothing."""
    try:
        return str(ipaddress.ip_address(text.strip("[]"))) if text else ""
    except ValueError:
        if len(text) <= _LONGEST_HOST and all(map(_LABEL.fullmatch, text.lower().split("."))):
            return text.lower()
    raise ValueError("the name of a host without its port, or an IP address")


def choice(*allowed: Word) -> Callable[[str], Word]:
    """A parser of a few words."""
    words = {word: word for word in allowed}

    def parse(text: str) -> Word:
        if text not in words:
            raise ValueError(f"one of {', '.join(allowed)}")
        return words[text]

    return parse


def ca_file(text: str) -> str:
    """A file with certificates, or nothing."""
    try:
        if text:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(text)
    except (OSError, ValueError):
        raise ValueError("a file with certificates in PEM form that can be read") from None
    return text


def distributions_file(text: str) -> str:
    """A file with a table of distributions, or nothing."""
    try:
        if text:
            Distributions.read(Path(text).read_bytes())
    except OSError:
        raise ValueError("a file that can be read") from None
    except BadTable as error:
        raise ValueError(f"a table of distributions: it {error}") from None
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Hosts separated by commas, each once."""
    found = [host.strip() for host in text.split(",") if host.strip()]
    if not all(_HOST.fullmatch(host) for host in found):
        raise ValueError("HOST or HOST:PORT, such as registry.local:5000, as in image references")
    return tuple(dict.fromkeys(found))


def quantity(text: str) -> str:
    """An amount of bytes, as Kubernetes writes it."""
    if not _QUANTITY.fullmatch(text):
        raise ValueError("a quantity such as 512Mi or 4Gi")
    return text


def duration(text: str) -> float:
    """Seconds, from a duration as in Go."""
    match = _DURATION.fullmatch(text)
    seconds = 0.0
    if match:
        hours, minutes, rest = match.groups(default="0")
        seconds = int(hours) * 3600.0 + int(minutes) * 60.0 + float(rest)
    if seconds <= 0:
        raise ValueError("a duration above zero, such as 90s, 2m or 1h30m")
    return seconds
