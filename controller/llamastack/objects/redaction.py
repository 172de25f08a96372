# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a container said when it died, without what it must not have said. Pure.

A traceback may quote a credential: pydantic shows ``input_value=...``, drivers show connection
URLs, HTTP clients show keys. We never know the values of Secrets (R-D16), so everything that stands
where a value can stand is cut, needed or not.

Whoever writes a pod's messages may mean harm: patterns begin at the beginning of a word and never
go back into one, so that no text takes longer than its length times a little.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"
MOST_SHOWN: Final = 600  # characters; a condition is read by people
_MOST_READ: Final = 4096  # characters; the kubelet keeps as much

_RULES: Final = (
    (re.compile(r"input_value=.*?(?=, input_type=|\n|$)"), f"input_value={HIDDEN}"),
    # Up to the last @ of the word: a password may hold any of the others, unescaped.
    (re.compile(r"((?<![\w+.-])[\w+.-]++://)\S*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?<![^\s'\"(=])[^\s'\"(=:]*+:\S+@(?=\w)"), f"{HIDDEN}@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b(api[ _-]?key[^:=\n]{0,40}[:=])\s*\S+"), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"(?i)((?<!\w)(?=\w*(?:key|token|passw(?:or)?d|secret|credential))\w++['\"]?\s*+[:=])"
            r"\s*+(?:'[^'\n]*'?|\"[^\"\n]*\"?|[^\s,;)}\]]+)"
        ),
        rf"\1 {HIDDEN}",
    ),
    (re.compile(r"\b(?:sk|gsk|hf|nvapi|tvly|xai)[-_][A-Za-z0-9_-]{6,}"), HIDDEN),
)


def redact(text: str) -> str:
    """The text without anything that may be a credential."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def shown(text: str) -> str:
    """Redacted, in one line, of bounded length."""
    line = " ".join(redact(text[:_MOST_READ]).split())
    return line if len(line) <= MOST_SHOWN else f"{line[: MOST_SHOWN - 3]}..."
