# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the engine says when a spec cannot become a config: everything that is wrong, at once.

The steps of the engine do not raise on the first mistake: they note it in a ``Findings`` and go on
as well as they can, so that nobody has to repair a resource one error at a time. ``ConfigError``
comes out at the end, with one reason for the condition and one ``FieldError`` a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable

from api.errors import FieldError, FieldWarning
from api.v1alpha2 import Reason


class ConfigError(Exception):
    """No config can be generated; what runs stays as it is (FR-097).

    Attributes:
        reason: for the condition ``ConfigGenerated``: ConfigGenerationFailed,
            UnsupportedConfigVersion, BaseConfigRequired or MissingProviderForResource.
        errors: every mistake that was found, in the order of the steps.
    """

    def __init__(self, reason: Reason, errors: Iterable[FieldError]) -> None:
        self.reason = reason
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


class Findings:
    """Collects mistakes and warnings while the steps run. A repeated one is kept once."""

    def __init__(self) -> None:
        self._errors: dict[FieldError, Reason] = {}
        self._warnings: dict[FieldWarning, None] = {}

    @property
    def failed(self) -> bool:
        """Whether there is any error."""
        return bool(self._errors)

    @property
    def warnings(self) -> tuple[FieldWarning, ...]:
        """All warnings, in the order they came up."""
        return tuple(self._warnings)

    def error(
        self,
        path: str,
        message: str,
        hint: str = "",
        *,
        reason: Reason = Reason.CONFIG_GENERATION_FAILED,
    ) -> None:
        """Notes a mistake.

        Args:
            path: of the field as the user wrote it.
            message: what is wrong, to be read after the path.
            hint: what to do about it.
            reason: the condition's reason if this is all that is wrong.
        """
        self._errors.setdefault(FieldError(path, message, hint), reason)

    def warn(self, path: str, message: str, hint: str = "") -> None:
        """Notes something that works, but perhaps not as its author thinks."""
        self._warnings.setdefault(FieldWarning(path, message, hint))

    def raise_errors(self) -> None:
        """Ends the generation if there was a mistake.

        Raises:
            ConfigError: with every error; its reason is theirs if they agree, else
                ConfigGenerationFailed.
        """
        if not self._errors:
            return
        reasons = set(self._errors.values())
        reason = reasons.pop() if len(reasons) == 1 else Reason.CONFIG_GENERATION_FAILED
        raise ConfigError(reason, self._errors)
