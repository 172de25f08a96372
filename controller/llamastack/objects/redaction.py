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
_TAIL: Final = 2048  # bytes of a log that it keeps, from wherever in a line they begin
_OURS: Final = "ERROR: "  # how programs of ours begin, whose message is no tail of a log

_NAME = "key|token|passw(?:or)?d|passphrase|pwd|secret|credential|signature"
_VALUE = r"""(?:[a-z]{0,2}(?:'(?:\\.|[^'\\\n])*'?|"(?:\\.|[^"\\\n])*"?)\S*|\S+)"""
"""With blanks where it is quoted; else up to the next one."""

_RULES: Final = (
    (re.compile(r"input_value=.*?(?=, input_type=|\n|$)"), f"input_value={HIDDEN}"),
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?"
            r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        HIDDEN,
    ),
    # Where the @ may be in a value of the query, nobody knows what is the host.
    (re.compile(r"((?<![\w+.-])[\w+.-]++://)(?=[^\s?&]*+[?&]\S*@)\S+"), rf"\1{HIDDEN}"),
    # Up to the last @ of the word: a password may hold any of the others, unescaped.
    (re.compile(r"((?<![\w+.-])[\w+.-]++://)\S*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?<![^\s'\"(=])[^\s'\"(=:]*+:\S+@(?=\w)"), f"{HIDDEN}@"),
    # Of whatever scheme, to the end of the line.
    (
        re.compile(r"(?i)(?<!\w)((?:authorization|cookie)['\"]?[^\S\n]*+[:=,])[^\S\n]*+[^\n]+"),
        rf"\1 {HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), rf"\1 {HIDDEN}"),
    (
        re.compile(rf"(?i)\b(api[ _-]?key[^:=\n]{{0,40}}[:=])\s*{_VALUE}"),
        rf"\1 {HIDDEN}",
    ),
    (
        re.compile(rf"(?i)((?<!\w)(?=\w*(?:{_NAME}))\w++['\"]?\s*+[:=])\s*+{_VALUE}"),
        rf"\1 {HIDDEN}",
    ),
    # A header, as clients show pairs of a list.
    (
        re.compile(rf"(?i)(\(b?['\"](?=[\w-]*(?:{_NAME}))[\w-]++['\"],)\s*+{_VALUE}"),
        rf"\1 {HIDDEN}",
    ),
    # An argument of a command.
    (
        re.compile(rf"(?i)((?<![\w-])--(?=[\w-]*(?:{_NAME}))[\w-]++)[^\S\n]++{_VALUE}"),
        rf"\1 {HIDDEN}",
    ),
    (
        re.compile(
            r"\b(?:(?:sk|gsk|hf|nvapi|tvly|xai|pplx|r8|gh[opsur]|github_pat|glpat|xox[abeprs])[-_]"
            r"[A-Za-z0-9_-]{6,}|AIza[A-Za-z0-9_-]{20,}|A[KS]IA[A-Z0-9]{12,}"
            r"|eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_.-]+)"
        ),
        HIDDEN,
    ),
)


def redact(text: str) -> str:
    """The text without anything that may be a credential."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def without_torn_line(message: str) -> str:
    """What a container said when it ended, without what is only the rest of a line.

    What the kubelet keeps of a log begins anywhere: perhaps in the middle of a credential, which
    nothing in front of it tells any more.
    """
    if len(message.encode(errors="replace")) < _TAIL or message.startswith(_OURS):
        return message
    _, newline, rest = message.partition("\n")
    # Of the only line there is: what may be the name of a value, and the value.
    return rest if newline else "".join(message.split(maxsplit=2)[2:])


def shown(text: str) -> str:
    """Redacted, in one line, of bounded length."""
    if len(text) > _MOST_READ:  # a word that is cut could be half a credential
        text = text[:_MOST_READ].rpartition(" ")[0]
    line = " ".join(redact(text).split())
    return line if len(line) <= MOST_SHOWN else f"{line[: MOST_SHOWN - 3]}..."
