# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which referenced ConfigMaps are there, with which content, without keeping the content.

A ConfigMap is read once per version, like a Secret (``read_cache``): what stays is a
:class:`ConfigMapSummary`: uid, resourceVersion, and a digest of each key. From the summaries follow

* the problems: a ConfigMap or a key that is missing (FR-073, FR-074), or that is in a namespace
  that the resource may not reach into (R-D12);
* the content hash of what the pod uses. It stands in the pod template, so changed content rolls
  the pods, and an equal rewrite, a new label or a restored backup does not. (The Go operator
  hashes the resourceVersion, and restarts servers for a label. For Secrets we take the version
  nevertheless: a digest of a credential in a template would be a fingerprint of it.)
* the versions hash, over uid and resourceVersion. It stands on the Deployment, where it restarts
  nothing, beside the content hash that it led to: after a restart of the operator the two prove
  to a cache that holds metadata only that nothing has to be read again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from api.errors import FieldError
from api.v1alpha2.reasons import Reason
from api.v1alpha2.references import CONFIG_KEY, config_key_in
from configs import override
from configs.spelling import Spelling
from controller.llamastack.objects.kinds import CONFIG_MAP
from controller.llamastack.references.read_cache import VersionedReadCache, versions
from informers.ports import Object, ObjectKey, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from api.v1alpha2.references import ConfigMapReference
    from configs.override import Examined
    from controller.runtime.ports import Writer

_DIGITS = 16  # of a sha256 in hex: what 64 bits tell apart is enough for a few versions each


@dataclass(frozen=True, slots=True)
class ConfigMapSummary:
    """What is known of one version of a ConfigMap.

    Attributes:
        uid: of the ConfigMap; empty if there is none.
        resource_version: of the ConfigMap; empty if there is none.
        digests: of the content, by key.
        config: what the server's configuration in it is, if somebody uses it as that.
    """

    uid: str = ""
    resource_version: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    config: Examined | None = None

    @property
    def missing(self) -> bool:
        """Whether there is no such ConfigMap."""
        return not self.uid


@dataclass(frozen=True, slots=True)
class Reach:
    """Which namespaces a resource may name (R-D12).

    Attributes:
        elsewhere: whether other namespaces than its own at all.
        watched: those that this operator watches; empty for all.
    """

    elsewhere: bool = False
    watched: frozenset[str] = frozenset()

    def covers(self, home: str, namespace: str) -> bool:
        """Whether a resource in ``home`` may name an object in ``namespace``."""
        if namespace == home:
            return True
        return self.elsewhere and (not self.watched or namespace in self.watched)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the ConfigMaps of a resource came to.

    Attributes:
        problems: reason and error of each reference that cannot be used.
        content_hash: over what the pod uses of them; empty without any.
        versions_hash: over uid and resourceVersion of all; empty without any.
        config: what the user's own configuration is, if there is one and it was looked at.
        config_digest: sha256 of it in hex, looked at or not; empty without one.
        config_key: of it in its ConfigMap.
        config_spelling: what it calls the API of agents, looked at or not; None without one.
    """

    problems: tuple[tuple[Reason, FieldError], ...] = ()
    content_hash: str = ""
    versions_hash: str = ""
    config: Examined | None = None
    config_digest: str = ""
    config_key: str = CONFIG_KEY
    config_spelling: Spelling | None = None

    @property
    def record(self) -> str:
        """What a Deployment made from it says of it, for ``recorded``."""
        parts = [self.versions_hash, self.content_hash, self.config_digest]
        if self.config_digest:
            parts += [self.config_key, str(self.config_spelling or "")]
        return "/".join(parts) if self.versions_hash else ""

    @classmethod
    def recorded(cls, record: str) -> Judgement:
        """A judgement without problems, as a Deployment says it was; empty if it says nothing.

        So it is if something is missing that an earlier version of the operator did not record.
        """
        match record.split("/"):
            case [versions_hash, content_hash, ""]:
                return cls((), content_hash, versions_hash)
            case [versions_hash, content_hash, digest, key, spelling] if Spelling.read(spelling):
                return cls(
                    (),
                    content_hash,
                    versions_hash,
                    config_digest=digest,
                    config_key=key,
                    config_spelling=Spelling.read(spelling),
                )
            case _:
                return cls()


class ConfigMapResolver(VersionedReadCache[ConfigMapSummary]):
    """Summaries by ConfigMap, shared by all resources that refer to it.

    Args:
        metadata: the cached metadata of a referenced ConfigMap, whoever made it.
        writer: for live reads.
        reach: which namespaces a resource may name.
    """

    def __init__(
        self,
        metadata: Callable[[ObjectKey], Object | None],
        writer: Writer,
        reach: Reach = Reach(),
    ) -> None:
        super().__init__(CONFIG_MAP, writer, _look)
        self._metadata = metadata
        self._reach = reach
        # What is used as a server's configuration, and so has to be read as one.
        self._configs: set[ObjectKey] = set()

    def may_read(self, home: str, namespace: str) -> bool:
        """Whether a resource in the one namespace may name a ConfigMap in the other (R-D12)."""
        return self._reach.covers(home, namespace)

    def hash_of_cached(self, namespace: str, references: Iterable[ConfigMapReference]) -> str:
        """The versions hash by the metadata cache; empty if that cannot tell.

        Args:
            namespace: of the resource.
            references: all of the resource.
        """
        found: dict[ObjectKey, tuple[str, str]] = {}
        for reference in references:
            key = _key(namespace, reference)
            if not self._reach.covers(namespace, key.namespace):
                return ""
            meta = self._metadata(key)
            if meta is None and not reference.optional:
                return ""
            found[key] = versions(meta) if meta is not None else ("", "")
        return _versions_hash(found)

    async def resolve(self, namespace: str, references: Iterable[ConfigMapReference]) -> Judgement:
        """Check all references.

        Args:
            namespace: of the resource.
            references: all of it, so that the hashes are over all.

        Raises:
            ApiError: a ConfigMap could not be read for another reason than that it is not there.
        """
        refs = tuple(references)
        configs = [_key(namespace, r) for r in refs if r.path == override.PATH]
        self._configs.update(configs)
        named = sorted({_key(namespace, reference) for reference in refs})
        # What a resource may not name is not even looked at: its absence would tell, too.
        keys = [key for key in named if self._reach.covers(namespace, key.namespace)]
        summaries = dict(zip(keys, await self.summaries(keys), strict=True))
        judgement = judge(namespace, refs, summaries)
        if not configs or judgement.problems:
            return judgement
        config = await self._config(configs[0])
        return replace(
            judgement,
            config=config,
            config_digest=config.digest if config else "",
            config_key=config_key_in(summaries[configs[0]].digests),
            config_spelling=config.spelling if config else None,
        )

    async def _config(self, key: ObjectKey) -> Examined | None:
        summary = await self.summary(key)
        if summary.config is None and not summary.missing:
            # Until now it was something else to everybody, e.g. a volume.
            self.forget(key)
            self._configs.add(key)
            summary = await self.summary(key)
        return summary.config

    def forget(self, key: ObjectKey) -> None:
        """See :meth:`VersionedReadCache.forget`."""
        super().forget(key)
        self._configs.discard(key)

    async def _examine(self, obj: Object | None) -> ConfigMapSummary:
        summary = _look(obj)
        if obj is None or key_of(obj) not in self._configs:
            return summary
        raw = text_of(obj, config_key_in(summary.digests))
        if raw is None:
            return summary
        # A ConfigMap of a megabyte takes half a second at the worst, too long for the event loop.
        return replace(summary, config=await asyncio.to_thread(override.examine, raw))


def judge(
    namespace: str,
    references: tuple[ConfigMapReference, ...],
    summaries: Mapping[ObjectKey, ConfigMapSummary],
) -> Judgement:
    """Pure: what the summaries mean for the references; all problems at once.

    Args:
        namespace: of the resource.
        references: to judge.
        summaries: of each ConfigMap that is referred to and may be.
    """
    # Each once: a field that names three keys of a missing ConfigMap misses one ConfigMap.
    problems = tuple(
        dict.fromkeys(
            (reason, FieldError(reference.path, message))
            for reference in references
            for reason, message in _problem(namespace, reference, summaries)
        )
    )
    used = {
        (reference.name, "" if reference.whole else reference.key): summaries[key]
        for reference in references
        if reference.in_pod
        and (key := _key(namespace, reference)) in summaries
        # What is elsewhere reaches the pod as a copy with a name of its own.
        and key.namespace == namespace
    }
    seen = {key: (found.uid, found.resource_version) for key, found in summaries.items()}
    return Judgement(problems, _content_hash(used), _versions_hash(seen))


def _problem(
    namespace: str, reference: ConfigMapReference, summaries: Mapping[ObjectKey, ConfigMapSummary]
) -> Iterator[tuple[Reason, str]]:
    where = _key(namespace, reference)
    summary = summaries.get(where)
    key, tail = reference.key, f"Referenced by: {reference.path}"
    if summary is None:
        yield (
            Reason.CROSS_NAMESPACE_REFERENCE,
            f'ConfigMap "{where.name}" in namespace "{where.namespace}" is not read, because the '
            f"operator does not let resources reach into that namespace: copy it to namespace "
            f'"{namespace}", or ask for an operator with --allow-cross-namespace-config that '
            f"watches both. {tail}",
        )
    elif summary.missing:
        if not reference.optional:
            text = f'ConfigMap "{where.name}" not found in namespace "{where.namespace}". {tail}'
            yield Reason.CONFIG_MAP_NOT_FOUND, text
    elif not reference.optional and not _has_key(summary, reference):
        text = f'Key "{key}" not found in ConfigMap "{where.name}/{where.namespace}". {tail}'
        yield Reason.CONFIG_MAP_KEY_NOT_FOUND, text


def _has_key(summary: ConfigMapSummary, reference: ConfigMapReference) -> bool:
    if not reference.key or reference.key in summary.digests:
        return True
    return bool(reference.or_key) and reference.or_key in summary.digests


def text_of(config_map: Object, key: str) -> bytes | None:
    """What a pod that mounts the ConfigMap finds in a file; None if there is no such key."""
    data = config_map.get("data") or {}
    if key in data:
        return str(data[key]).encode()
    binary = (config_map.get("binaryData") or {}).get(key)
    return None if binary is None else base64.b64decode(binary)


def _look(config_map: Object | None) -> ConfigMapSummary:
    if config_map is None:
        return ConfigMapSummary()
    uid, version = versions(config_map)
    # A key is in one of the two. As base64 or as text: the same text in both is another content.
    contents = {
        name: f"{kind} {value}"
        for kind in ("data", "binaryData")
        for name, value in (config_map.get(kind) or {}).items()
    }
    return ConfigMapSummary(uid, version, {name: _digest(text) for name, text in contents.items()})


def _key(namespace: str, reference: ConfigMapReference) -> ObjectKey:
    return ObjectKey(reference.namespace or namespace, reference.name)


def _content_hash(used: Mapping[tuple[str, str], ConfigMapSummary]) -> str:
    if not used:
        return ""
    lines = [
        f"{name} {part} {summary.digests.get(part, '-')}"
        for (name, key), summary in sorted(used.items(), key=lambda item: item[0])
        for part in ([key] if key else sorted(summary.digests))
    ]
    return _digest("\n".join(lines))


def _versions_hash(of: Mapping[ObjectKey, tuple[str, str]]) -> str:
    if not of:
        return ""
    return _digest("\n".join(f"{key} {uid} {rv}" for key, (uid, rv) in sorted(of.items())))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
