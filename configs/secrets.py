# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Secrets reach the server as environment variables; a config only ever names them (R-D4, R-D16).

No value of a Secret passes through the engine; what looks at one (``is_unusable`` here, and
``configs.connection``) is for the operator, and never repeats it. The names of variables are
``api.v1alpha2.references.environment_name``'s (R-D4): the server expands ``[A-Z0-9_]+`` only, and
sends a reference with any other name to the provider as it stands, as the credential.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from api.k8s import EnvVar
from api.v1alpha2 import SecretKeySelector, messages
from configs.errors import Findings


@dataclass(frozen=True, slots=True)
class EnvFromSecret:
    """A variable of the server container whose value is a key of a Secret.

    Attributes:
        name: of the variable.
        secret_name: of the Secret, in the namespace of the resource.
        key: in the Secret.
        path: of the field that refers to the Secret.
        is_text: whether the server needs exactly this text. Then a value that it would convert
            (``is_unusable``) keeps it from starting. Not so for a port, for what is only a part of
            a longer text, and for what the server does not read out of its config.
    """

    name: str
    secret_name: str
    key: str
    path: str
    is_text: bool = True


@dataclass(frozen=True, slots=True)
class EnvValue:
    """A variable of the server container with a plain value.

    Attributes:
        name: of the variable.
        value: not a secret.
        path: of the field that it comes from.
    """

    name: str
    value: str
    path: str


class Environment:
    """The variables that a config refers to, collected while it is built."""

    def __init__(self, findings: Findings) -> None:
        self._variables: dict[str, EnvFromSecret | EnvValue] = {}
        self._findings = findings

    @property
    def variables(self) -> tuple[EnvFromSecret | EnvValue, ...]:
        """All of them, sorted by name."""
        return tuple(self._variables[name] for name in sorted(self._variables))

    @property
    def names(self) -> frozenset[str]:
        """Their names."""
        return frozenset(self._variables)

    def secret(
        self, name: str, selector: SecretKeySelector, path: str, *, is_text: bool = True
    ) -> str:
        """Adds a variable from a Secret.

        Returns:
            The reference to write into the config.
        """
        self._add(EnvFromSecret(name, selector.name, selector.key, path, is_text))
        return reference(name)

    def value(self, name: str, value: str, path: str) -> None:
        """Adds a variable with a plain value."""
        self._add(EnvValue(name, value, path))

    def _add(self, variable: EnvFromSecret | EnvValue) -> None:
        first = self._variables.setdefault(variable.name, variable)
        if _content(first) != _content(variable):
            text = messages.SAME_VARIABLE.format(name=variable.name, path=first.path)
            self._findings.error(variable.path, text, "rename the provider or the field")


def _content(variable: EnvFromSecret | EnvValue) -> tuple[str, ...]:
    if isinstance(variable, EnvValue):
        return (variable.value,)
    return (variable.secret_name, variable.key)


def reference(name: str, default: str | None = None) -> str:
    """How a config refers to a variable; with a default, the variable may be missing or empty."""
    return f"${{env.{name}}}" if default is None else f"${{env.{name}:={default}}}"


def is_unusable(value: str) -> bool:
    """Whether the server would read the value of a variable as something else than this text.

    After it has put in a variable, the server turns the whole string into null, a boolean or a
    number if it can, and a leading ``~`` into a home directory; a key that is all digits then fails
    the type check and the server dies (trap in every release up to ogx 1.5).
    """
    if not value or value.startswith("~") or value.lower() in {"true", "false"}:
        return True
    return any(_converts(kind, value) for kind in (int, float))


def _converts(kind: type[int] | type[float], value: str) -> bool:
    try:
        kind(value)
    except ValueError:
        return False
    return True


def given_by_user(env: Iterable[EnvVar]) -> frozenset[str]:
    """Names of the variables in ``workload.overrides.env`` that have a value.

    An empty one does not count: to the server it is as good as missing.
    """
    return frozenset(item.name for item in env if item.value or item.value_from is not None)
