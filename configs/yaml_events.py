# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

r"""A text as YAML events, the same ones by either parser; the only module that imports ruamel.

ruamel.yaml has a parser in Python, and one in C (ruamel.yaml.clib, a libyaml) that is twenty times
as fast, but not for every platform. At the edges of the language the two disagree.

**What one of them refuses is refused**, so that a text means the same on every machine. Hardly
anything is lost by that: of most of it kubectl (another libyaml) or the server (PyYAML) says the
same. Two things that both of those read, and the parser in C does not, are hidden from it.

==  ================================  =======  =====================================================
    in a text                         refused  here
                                      by
==  ================================  =======  =====================================================
1   ``{a: http://b}``                 C        read: the colon is hidden from it
2   ``"\ud83d\ude00"``                C        read: the backslashes are hidden from it
3   bare ``a?b ::1 a:`` in brackets   C        refused: needs quotes
4   block text at the root that is    C        refused
    not indented
5   block text that begins with a     C        refused
    tab
6   bare text in brackets, before a   C        refused if the brackets are in a block
    line that begins with a tab
7   document after ``...``            C        refused: needs a ``---``
8   a second ``...``                  Python   refused
9   tab between tokens, or in bare    Python   refused, but for comments and between brackets
    text
10  ``|#comment``                     Python   refused: needs a space
11  ``["a":b]``                       Python   refused: needs a space
12  block text after a blank line     Python   refused
    that is indented less
13  anchors                           both     letters, digits, ``_`` and ``-``; different ones let
                                               different characters follow
14  tags                              both     ``!!name`` and ``!name``, behind an anchor; the rest
                                               (escapes, handles, ``!<uri>``) is refused
15  directives                        both     ``%YAML 1.1`` and ``%YAML 1.2``; the rest is refused
16  NEL, LS and PS, the line breaks   both     read in quotes, but not in keys
    of YAML 1.1
17  byte order mark                   both     read, but at the beginning of a line
18  ``"\UFFFFFFFF"``                  both     refused; it broke the parser in Python
==  ================================  =======  =====================================================

``tests/unit/configs/test_configs_yaml_events.py`` has a test for each line. What they say of a
mistake, and sometimes its column, differs, too.

Both make one event at a time: who stops reading stops the parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)

try:
    from _ruamel_yaml import CParser
except ImportError:  # no wheel for this platform
    CParser = None

__all__ = [
    "HAS_C", "AliasEvent", "CollectionEndEvent", "CollectionStartEvent", "DocumentEndEvent",
    "Event", "MappingStartEvent", "Parser", "Refused", "ScalarEvent", "events", "in_c", "in_python",
]  # fmt: skip

Event: TypeAlias = Any
"""One of ruamel's. The style of a bare scalar is empty or None."""

Parser: TypeAlias = Callable[[str], Iterator[Event]]

HAS_C: Final = CParser is not None
"""Whether the parser in C is there."""


class Refused(Exception):
    """The text is not YAML, or not the same YAML to everybody.

    Attributes:
        problem: what is wrong, in one line.
        line: line, from 1.
        column: column, from 1.
    """

    def __init__(self, problem: str, text: str, index: int) -> None:
        super().__init__(problem)
        before = _LINE_BREAK.split(text[:index])
        self.problem = problem
        self.line = len(before)
        self.column = len(before[-1]) + 1


def events(text: str, parser: Parser | None = None) -> Iterator[Event]:
    """The events of a text, by the fastest parser that is there.

    Args:
        text: YAML. A byte order mark at its beginning does not count in any place.
        parser: ``in_c`` or ``in_python``, to take that one.

    Raises:
        Refused: according to the table above; some events may have been given out before.
    """
    parser = parser or (in_c if HAS_C else in_python)
    text = text.removeprefix("\ufeff")
    _check_characters(text)
    rules = _Rules(text)
    try:
        for event in parser(text):
            rules.check(event)
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context or "not YAML").split())
        raise Refused(problem, text, mark.index if mark else 0) from error
    except (YAMLError, ValueError, OverflowError, AssertionError) as error:
        # The parser in Python, of an escape or a version that there cannot be.
        raise Refused("not YAML", text, 0) from error


def in_python(text: str) -> Iterator[Event]:
    """The events as the parser in Python gives them."""
    found: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)
    return found


def in_c(text: str) -> Iterator[Event]:
    """The events as the parser in C gives them; only if ``HAS_C``."""
    hiding = _Hiding(text)
    parser = CParser(hiding.hide())
    while (event := parser.get_event()) is not None:
        if type(event) is ScalarEvent and not event.value.isascii():
            event.value = hiding.show(event.value, quoted=event.style == '"')
        yield event


# --- what is hidden from the parser in C ----------------------------------------------------------

_FREE = range(0x40000, 0xE0000)
"""Code points that Unicode has not assigned, more than fit into a megabyte of UTF-8."""

_FREE_ESCAPE = re.compile(r"\\U(000[4-9a-dA-D][0-9a-fA-F]{4})")
_BARE_COLON = re.compile(r":(?=[^ \t\r\n\[\]{},])(?<=[^ \t\r\n\[\]{},\"']:)")  # `:` first: faster
_ANY_ESCAPE = re.compile(r"\\(?:(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Hiding:
    """Other characters in the place of some, and back; no place in the text changes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._colon, self._backslash = _unused(text)

    def hide(self) -> str:
        """The text as the parser in C gets it."""
        text = self._text
        if "[" in text or "{" in text:
            text = _BARE_COLON.sub(self._colon, text)
        if _SURROGATE.search(text):
            hidden = self._backslash
            text = _ANY_ESCAPE.sub(lambda m: f"{hidden}{m[1]}" if m[1] else m[0], text)
        return text

    def show(self, value: str, *, quoted: bool) -> str:
        """A value as it is in the text."""
        value = value.replace(self._colon, ":")
        if self._backslash not in value:
            return value
        if not quoted:
            return value.replace(self._backslash, "\\")
        return re.sub(rf"{self._backslash}u(.{{4}})", lambda m: chr(int(m[1], 16)), value)


def _unused(text: str) -> tuple[str, str]:
    """Two characters that a text neither has nor spells."""
    spelled = (
        {chr(int(code, 16)) for code in _FREE_ESCAPE.findall(text)} if "\\U" in text else set()
    )
    first = chr(_FREE[0]), chr(_FREE[1])
    if text.isascii() and not spelled:
        return first
    used = spelled | set(text)
    free = (char for char in map(chr, _FREE) if char not in used)
    return next(free), next(free)


# --- what is refused ------------------------------------------------------------------------------

# Whatever is repeated below is repeated possessively: texts of strangers must not make these slow.
_QUOTES = frozenset({'"', "'"})
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_OTHER_BREAK = re.compile("[\x85\u2028\u2029]")
_CONTROL = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ASCII_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # the same of ASCII, faster
_NO_CHARACTER = re.compile(r"\\U(?!000|0010)[0-9a-fA-F]{8}")
_STRAY_MARK = re.compile(r"(?:\A|[\r\n])(\ufeff)")
_OUTER_LINE = re.compile(
    r"(?:\A|(?<=[\r\n]))(?:\.\.\.|%(?!YAML +1\.[12] *(?: #[^\r\n]*)?(?:[\r\n]|\Z)))"
)
_GAP = r"(?:[ \t\r\n]++(?:#[^\r\n]*+)?)*+"
_NAME = r"[A-Za-z0-9_-]++(?=[ \t\r\n,\]}]|\Z)"
_ALIAS = re.compile(rf"\*{_NAME}")
_TAG = r"!!?[^\s!%<>,\[\]{}]*+(?=[ \r\n]|\Z)"
_PROPERTIES = re.compile(rf"(&{_NAME}{_GAP})?({_TAG}{_GAP})?")
_UNSURE = re.compile(r"^:|:$|\?|\s:|[\"']:")
_TIGHT_COLON = re.compile(rf"{_GAP}:(?=[^ \t\r\n])")
_COLON_AFTER = re.compile(r"[ \t\r\n]*+:")
_TAB_LINE = re.compile(r"[ \t]*+[\r\n][ \r\n]*+\t")
_TAB_OR_COMMENT = re.compile(r"\t|#[^\r\n]*+")
_BLOCK_HEADER = re.compile(r"[|>][-+]?([1-9]?)[-+]?(?: *+| ++#[^\r\n]*+)(?:\r\n?|\n|\Z)")
_BLANK_LINES = re.compile(r"(?: *+(?:\r\n|\r|\n))*+ *+")


def _check_characters(text: str) -> None:
    if found := (_ASCII_CONTROL if text.isascii() else _CONTROL).search(text):
        raise Refused("a control character is not allowed", text, found.start())
    if "\ufeff" in text and (found := _STRAY_MARK.search(text)):
        problem = "a byte order mark is allowed at the beginning only"
        raise Refused(problem, text, found.start(1))


class _Rules:
    """Refuses what is in the table; is shown each event of a text, in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._odd_space = "\t" in text or _OTHER_BREAK.search(text) is not None
        self._odd_escape = _NO_CHARACTER.search(text) is not None
        self._brackets: list[bool] = []  # for each open container
        self._key_of_pair = False  # a pair without braces began: its key comes next
        self._documents = 0
        self._seen = 0  # where the last event ended

    def check(self, event: Event) -> None:
        """Nothing, or ``Refused``."""
        in_brackets = bool(self._brackets) and self._brackets[-1]
        if self._odd_space:
            self._check_space(event, in_brackets=in_brackets)
        kind = type(event)
        if kind is ScalarEvent:
            self._check_scalar(event, in_brackets=in_brackets)
        elif isinstance(event, CollectionStartEvent):
            start = self._check_properties(event)
            self._brackets.append(bool(event.flow_style))
            self._key_of_pair = in_brackets and self._text[start] not in "[{"
        elif isinstance(event, CollectionEndEvent):
            self._brackets.pop()
        elif kind is AliasEvent:
            if not _ALIAS.match(self._text, event.start_mark.index):
                self._refuse("an alias has letters, digits, _ and -", event.start_mark.index)
        elif kind is DocumentStartEvent or kind is StreamEndEvent:
            self._check_outer(event)
        self._seen = event.end_mark.index

    def _refuse(self, problem: str, index: int) -> NoReturn:
        raise Refused(problem, self._text, index)

    def _check_outer(self, event: Event) -> None:
        """What stands between documents."""
        part = self._seen, event.end_mark.index
        if any(self._text.find(mark, *part) >= 0 for mark in ("%", "...")):
            found = _OUTER_LINE.search(self._text, *part)
            if found and (self._documents or found[0] == "%"):
                self._refuse(f"{found[0]} is not allowed here", found.start())
        if type(event) is DocumentStartEvent:
            if self._documents and not event.explicit:
                self._refuse("the document needs a --- before it", event.start_mark.index)
            self._documents += 1

    def _check_properties(self, event: Event) -> int:
        """Anchor and tag; where they end."""
        start: int = event.start_mark.index
        if event.anchor is None and event.ctag is None:
            return start
        found = _PROPERTIES.match(self._text, start)
        anchor, tag = found.groups() if found else (None, None)
        if event.anchor is not None and anchor is None:
            self._refuse("an anchor has letters, digits, _ and -, and comes before a tag", start)
        if event.ctag is not None and tag is None:
            self._refuse("a tag is written as !!name, after the anchor if there is one", start)
        return min(found.end(), event.end_mark.index) if found else start

    def _check_scalar(self, event: Event, *, in_brackets: bool) -> None:
        style, end = event.style, event.end_mark.index
        start = self._check_properties(event)
        if not style:
            if in_brackets and event.value:
                if _UNSURE.search(event.value):
                    self._refuse("in brackets this must be written in quotes", start)
                if not self._brackets[0] and _TAB_LINE.match(self._text, end):
                    self._refuse("a tab is not allowed here", end)
        elif style in "|>":
            self._check_block(start)
        elif style == '"' and self._odd_escape:
            self._check_escapes(start, end)
        if self._key_of_pair:
            self._key_of_pair = False
            if found := _TIGHT_COLON.match(self._text, end):
                self._refuse("a space is missing", found.end())

    def _check_escapes(self, start: int, end: int) -> None:
        if found := _NO_CHARACTER.search(self._text, start, end):
            self._refuse("there is no such character", found.start())

    def _check_block(self, start: int) -> None:
        """A scalar in block style: its header, and the lines before its first character."""
        header = _BLOCK_HEADER.match(self._text, start)
        if header is None:
            self._refuse("a space is missing before the comment", start)
        if header[1]:
            return
        after = header.end()
        found = _BLANK_LINES.match(self._text, after)
        first = found.end() if found else after
        blank = self._text[after:first]
        character = self._text[first : first + 1]
        if character == "\t":
            self._refuse("text in block style must not begin with a tab", start)
        inset = len(blank) - len(blank.lstrip(" "))
        if 0 < inset < len(blank) and " " * (inset + 1) in blank:
            self._refuse("a blank line is indented less than the text after it", start)
        if not self._brackets and character and not blank.endswith(" "):
            self._refuse("text in block style must be indented", start)

    def _check_space(self, event: Event, *, in_brackets: bool) -> None:
        """Tabs and the line breaks of YAML 1.1, since the last event."""
        end: int = event.end_mark.index
        text_from = end
        if type(event) is ScalarEvent:
            style = event.style or ""
            start = self._check_properties(event)
            if style:
                text_from = start
            elif (tab := self._text.find("\t", start, end)) >= 0:
                self._refuse("a tab is not allowed here", tab)
            if style in _QUOTES and not _COLON_AFTER.match(self._text, end):
                end = self._text.index(style, start)
        if found := _OTHER_BREAK.search(self._text, self._seen, end):
            self._refuse("NEL, LS and PS are allowed in quotes, and not in keys", found.start())
        if in_brackets:
            return
        for found in _TAB_OR_COMMENT.finditer(self._text, self._seen, text_from):
            if found[0] == "\t":
                self._refuse("a tab is not allowed here", found.start())
