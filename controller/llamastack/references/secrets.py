# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which referenced Secrets are there and usable, without keeping a value.

A Secret is read once per version: ``GET``, look for the keys, judge whether the server would
take the values, forget them. What stays is a :class:`SecretSummary`: uid, resourceVersion and key
names. A watch on metadata tells when a summary is out of date, so a missing Secret is noticed the
moment it appears (FR-073, FR-074) and a rotated one rolls the pods (R-D16).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.errors import FieldError
from api.v1alpha2.reasons import Reason
from configs.secrets import is_unusable
from controller.llamastack.objects.kinds import SECRET
from controller.llamastack.references.read_cache import VersionedReadCache, versions
from controller.llamastack.references.resolution import Resolution
from informers.ports import Object, ObjectKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from api.v1alpha2.references import SecretReference
    from controller.runtime.ports import Reader, Writer


_CONTENTS = {
    "tls.crt": "a certificate in PEM form",
    "tls.key": "the certificate's private key in PEM form",
}
"""What is expected in a key whose name says so."""


@dataclass(frozen=True, slots=True)
class SecretSummary:
    """What is known of one version of a Secret.

    Attributes:
        uid: of the Secret; empty if there is none.
        resource_version: of the Secret; empty if there is none.
        keys: its keys.
        unusable: keys whose values a server that converts would refuse, or read as unset.
        blank: keys without a value, or with one of white space only.
    """

    uid: str = ""
    resource_version: str = ""
    keys: frozenset[str] = frozenset()
    unusable: frozenset[str] = frozenset()
    blank: frozenset[str] = frozenset()

    @property
    def missing(self) -> bool:
        """Whether there is no such Secret."""
        return not self.uid


class SecretResolver(VersionedReadCache[SecretSummary]):
    """Summaries by Secret, shared by all resources that refer to it.

    Args:
        metadata: cache of the metadata of referenced Secrets.
        writer: for live reads.
    """

    def __init__(self, metadata: Reader, writer: Writer) -> None:
        super().__init__(SECRET, writer, _look)
        self._metadata = metadata

    def version_of(self, key: ObjectKey) -> tuple[str, str] | None:
        """Uid and resourceVersion as known now, empty for one that is missing; ``None`` if unknown.

        What was read may be newer than the cache; it is not known any more once that moves on.
        """
        if (summary := self.known(key)) is not None:
            return summary.uid, summary.resource_version
        meta = self._metadata.get(key)
        return versions(meta) if meta is not None else None

    def hash_of_cached(self, namespace: str, references: Iterable[SecretReference]) -> str:
        """The hash of the versions in the metadata cache; empty if one of them is not there.

        After a restart this proves, together with the pod template's annotation, that nothing
        changed since the keys were last checked: no Secret needs to be read.
        """
        found: dict[str, tuple[str, str]] = {}
        for reference in references:
            if not reference.in_pod:
                continue
            meta = self._metadata.get(ObjectKey(namespace, reference.name))
            if meta is None and not reference.optional:
                return ""
            found[reference.name] = versions(meta) if meta is not None else ("", "")
        return _hash(found)

    async def resolve(
        self,
        namespace: str,
        references: Iterable[SecretReference],
        *,
        converted: frozenset[str] = frozenset(),
    ) -> Resolution:
        """Check all references.

        Args:
            namespace: of the resource.
            references: to check.
            converted: paths of those whose values the server may convert.

        Raises:
            ApiError: a Secret could not be read for another reason than that it is not there.
        """
        refs = tuple(references)
        names = sorted({reference.name for reference in refs})
        found = await self.summaries(ObjectKey(namespace, name) for name in names)
        return judge(namespace, refs, dict(zip(names, found, strict=True)), converted=converted)


def _look(secret: Object | None) -> SecretSummary:
    if secret is None:
        return SecretSummary()
    uid, version = versions(secret)
    texts = {name: _text(value) for name, value in (secret.get("data") or {}).items()}
    return SecretSummary(
        uid=uid,
        resource_version=version,
        keys=frozenset(texts),
        unusable=frozenset(n for n, text in texts.items() if text is None or is_unusable(text)),
        blank=frozenset(n for n, text in texts.items() if text is not None and not text.strip()),
    )


def _text(encoded: str) -> str | None:
    """A value; ``None`` if it is not text, as an environment variable has to be."""
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, TypeError):
        return None


def _hash(of: dict[str, tuple[str, str]]) -> str:
    if not of:
        return ""
    lines = "\n".join(f"{name} {uid} {rv}" for name, (uid, rv) in sorted(of.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def judge(
    namespace: str,
    references: tuple[SecretReference, ...],
    summaries: dict[str, SecretSummary],
    *,
    converted: frozenset[str] = frozenset(),
) -> Resolution:
    """Pure: what the summaries mean for the references; all problems at once.

    Args:
        namespace: of the resource.
        references: to judge.
        summaries: by name of the Secret, one for each that is referred to.
        converted: paths of references whose values go through the server's own substitution,
            which turns digits into numbers; the server then refuses to start.
    """
    # Each once: a field that needs two keys of a missing Secret misses one Secret.
    problems = list(
        dict.fromkeys(
            (reason, FieldError(reference.path, message))
            for reference in references
            for reason, message in _problem(
                namespace, reference, summaries[reference.name], reference.path in converted
            )
        )
    )
    in_pod = {reference.name for reference in references if reference.in_pod}
    used = {n: (f.uid, f.resource_version) for n, f in summaries.items() if n in in_pod}
    return Resolution(
        reason=problems[0][0] if problems else Reason.SECRETS_RESOLVED,
        errors=tuple(error for _, error in problems),
        versions_hash=_hash(used),
    )


def _problem(
    namespace: str, reference: SecretReference, summary: SecretSummary, converted: bool
) -> Iterator[tuple[Reason, str]]:
    name, key = reference.name, reference.key
    tail = f"Referenced by: {reference.path}"
    if summary.missing:
        if not reference.optional:
            text = f'Secret "{name}" not found in namespace "{namespace}". {tail}'
            yield Reason.SECRET_NOT_FOUND, text
    elif key and key not in summary.keys:
        if not reference.optional:
            text = f'Key "{key}" not found in Secret "{name}/{namespace}". {tail}'
            yield Reason.SECRET_KEY_NOT_FOUND, text
    elif key in summary.blank and not reference.may_be_empty:
        yield (
            Reason.SECRET_VALUE_NOT_USABLE,
            f'The value of key "{key}" in Secret "{name}" is empty, or only white space: put '
            f"{_CONTENTS.get(key, 'the value')} in. {tail}",
        )
    elif converted and key in summary.unusable:
        yield (
            Reason.SECRET_VALUE_NOT_USABLE,
            f'The value of key "{key}" in Secret "{name}" cannot reach the server as a string: it '
            "is empty, not text, or reads as a number, a boolean or null, which the server "
            f"converts. Use a value of another form. {tail}",
        )
