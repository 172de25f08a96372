# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One request to a registry on this machine."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Final

_SECONDS: Final = 20.0


class RefusedError(Exception):
    """The registry answered with a failure; the message has its status and its words."""


def send(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, ca_file: str = ""
) -> dict[str, str]:
    """The headers of the answer, names in lower case.

    Args:
        method: of HTTP.
        url: whole.
        body: of the request.
        headers: those with an empty value are left out.
        ca_file: PEM file of whom to trust; empty for plain HTTP.

    Raises:
        RefusedError: the answer is a failure.
        OSError: there is no answer.
    """
    given = {name: value for name, value in headers.items() if value}
    request = urllib.request.Request(url, data=body, method=method, headers=given)  # noqa: S310 -- ours
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    try:
        with urllib.request.urlopen(  # noqa: S310 -- ours
            request, timeout=_SECONDS, context=context
        ) as response:
            return {name.lower(): value for name, value in response.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")
        raise RefusedError(f"{error.code}: {said}") from error
