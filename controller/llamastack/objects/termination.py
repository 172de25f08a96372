# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the end of a dead server's log means, and what to do about it. Pure.

With ``terminationMessagePolicy: FallbackToLogsOnError`` the kubelet keeps the last 2 KiB of the
log, which end with Python's traceback; its last exception says why. The hints are those of
servers that were booted with each of these mistakes.
"""

from __future__ import annotations

import re
from typing import Final

from controller.llamastack.objects.redaction import shown

_EXCEPTION: Final = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Failure)(?::|$)")
_DETAILS: Final = 3  # lines below the exception: pydantic names field and fault there
_NOISE: Final = "For further information"

_HINTS: Final = (
    (
        "Input should be a valid string",
        "a value is read as a number or boolean: use one that has a letter in it",
    ),
    (
        "not set or empty",
        "set the variable in spec.workload.overrides.env, or reference a Secret that is not empty",
    ),
    (
        "already exists with conflicting field values",
        "the store knows a resource of that name with other fields: rename it, or use a new store",
    ),
    (
        "cl100k_base",
        "the server loads a tokenizer from the internet: allow that, or use an image that has it "
        "(TIKTOKEN_CACHE_DIR)",
    ),
    (
        "tiktoken",
        "the server loads a tokenizer from the internet: allow that, or use an image that has it "
        "(TIKTOKEN_CACHE_DIR)",
    ),
    (
        "No module named",
        "the image lacks a Python package of a provider: use an image that has it, or drop the "
        "provider",
    ),
    ("You must provide a URL", "give the provider its endpoint"),
    ("is not available for API", "the image does not know this provider: check its version"),
    ("not found", "check that the configuration names what exists"),
    (
        "Connection refused",
        "something that the server needs to start does not answer: check endpoint and network",
    ),
    ("PermissionError", "the server may not write there: check volumes and securityContext"),
)


def cause(log_tail: str) -> str:
    """The line of a log that says why the process ended; redacted, empty if it says nothing."""
    lines = [line.rstrip() for line in log_tail.splitlines() if line.strip()]
    for number in range(len(lines) - 1, -1, -1):
        if _EXCEPTION.match(lines[number]):
            details = [
                line
                for line in lines[number + 1 :][:_DETAILS]
                if not line.strip().startswith(_NOISE)
            ]
            return shown("\n".join((lines[number], *details)))
    return shown(lines[-1]) if lines else ""


def hint(log_tail: str) -> str:
    """What to do about it."""
    for words, advice in _HINTS:
        if words in log_tail:
            return advice
    return "see its log: kubectl logs --previous"
