# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""One declaration a setting: the field of a dataclass that is also a flag and a variable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from dataclasses import Field

ENV_PREFIX: Final = "LLAMASTACK_OPERATOR_"

_METADATA: Final = "flag"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """How a setting is spelled, what it means and what it may be.

    Attributes:
        flag: with dashes.
        parse: reads a text; a ``ValueError`` says what is allowed.
        default: as a text.
        metavar: stands for the value in the help; empty for a switch.
        text: what it is for.
        shown_default: in the help, if the default is no text that one could give.
        repeatable: may be given several times; a variable separates values by commas.
    """

    flag: str
    parse: Callable[[str], Any]
    default: str
    metavar: str
    text: str
    shown_default: str
    repeatable: bool

    @property
    def env(self) -> str:
        """The variable."""
        return ENV_PREFIX + self.dest.upper()

    @property
    def dest(self) -> str:
        """Where argparse puts the text."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def help(self) -> str:
        """For argparse."""
        default = self.shown_default or self.default
        several = ", separated by commas" if self.repeatable else ""
        return f"{self.text} (default: {default}; env: {self.env}{several})".replace("%", "%%")


def setting(
    flag: str,
    parse: Callable[[str], T],
    *,
    default: str,
    text: str,
    metavar: str = "",
    shown_default: str = "",
    repeatable: bool = False,
) -> T:
    """A field of a dataclass with a flag; its default is what the default text means.

    The arguments are those of :class:`Flag`. To a type checker it is a value of the type that
    ``parse`` returns, so that the annotation of the field must agree.
    """
    made = Flag(
        flag=flag,
        parse=parse,
        default=default,
        metavar=metavar,
        text=text,
        shown_default=shown_default,
        repeatable=repeatable,
    )
    return field(default_factory=lambda: parse(default), metadata={_METADATA: made})


def flag_of(field: Field[Any]) -> Flag:
    """The flag of a field that :func:`setting` made."""
    flag: Flag = field.metadata[_METADATA]
    return flag
