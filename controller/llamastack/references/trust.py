# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which certificates the server of a resource shall trust, with as little reading as possible.

They come from the ConfigMap that the resource names, and from ``odh-trusted-ca-bundle`` where its
namespace has one. Annotations of the ConfigMap that they are joined into say what it was made from
and what was wrong with it, so as long as uid and resourceVersion of the sources are the same
nothing is read, not even after a restart. Otherwise the sources are read, once for all resources
that name the same, and what was found in them is remembered in bounded memory: of a thousand
bundles only the digests stay.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.llamastack.cache.reference_index import ODH_CA_BUNDLE
from controller.llamastack.objects.kinds import (
    CA_BUNDLE_HASH,
    CA_BUNDLE_NOTE,
    CA_BUNDLE_SOURCES,
    CONFIG_MAP,
)
from controller.llamastack.references import ca_bundle
from controller.llamastack.references.ca_bundle import NO_TRUST, Part, Trust
from controller.llamastack.references.certificates import Certificate, NotUsable, blocks, decoded
from controller.llamastack.references.read_cache import versions
from controller.llamastack.render import ca_bundle as rendering
from controller.llamastack.render import labels, names
from controller.llamastack.render.ca_bundle import Bundle
from controller.runtime.lru import LruCache
from informers.ports import ObjectKey, key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime

    from api.v1alpha2 import Spec
    from controller.llamastack.cache.readers import Caches
    from controller.llamastack.references.config_maps import ConfigMapResolver
    from informers.ports import Object

_FORM = "1"
"""Changes when the same sources would lead to another bundle."""

_SLICE = 50  # certificates; 5 ms of work
_ROOM = 4 << 20  # bytes of text, on each of the two shelves

_BINARY = NotUsable(
    "is binary: put the certificates in as text, in PEM form; a file in DER form becomes PEM by: "
    "openssl x509 -inform der -in FILE"
)

_OURS = NotUsable(
    "is a bundle that the operator made: name the ConfigMap that the certificates come from"
)


@dataclass(frozen=True, slots=True)
class _Source:
    key: ObjectKey
    keys: tuple[str, ...] | None  # all if None
    named: bool


class TrustResolver:
    """Joins the certificates of all resources.

    Args:
        caches: metadata of the sources, and of what they were joined into.
        config_maps: reads sources.
        public: certificates that everybody trusts, in PEM form.
        now: for notes about validity.
    """

    def __init__(
        self,
        caches: Caches,
        config_maps: ConfigMapResolver,
        public: str,
        now: Callable[[], datetime],
    ) -> None:
        self._caches = caches
        self._config_maps = config_maps
        self._public_text = public
        self._public_digest = _digest(public)
        self._public: tuple[Certificate, ...] = ()
        self._now = now
        self._contents = LruCache[str, tuple[Certificate, ...] | NotUsable](_ROOM)
        self._bundles = LruCache[str, Bundle](_ROOM)
        # By uid of our ConfigMap: its version when it was as it should be. Its content is not in
        # the cache, so that somebody edited it shows in the version only.
        self._good: dict[str, str] = {}

    async def resolve(self, cr: Object, spec: Spec) -> Trust:
        """What the resource's server shall trust.

        What is not there, or must not be read, is passed over: it is reported elsewhere.

        Raises:
            ApiError: a source could not be read.
        """
        sources = tuple(self._sources(key_of(cr), spec))
        if not sources:
            return NO_TRUST
        seen = self._seen(sources)
        kept = self._in_place(cr, seen) if seen else None
        if kept is not None:
            return kept
        seen, bundle = await self._bundle(sources, seen)
        if not bundle.digest:
            return Trust(note=bundle.note, problems=bundle.problems)
        return Trust(bundle.digest, bundle.note, rendering.child(cr, bundle, seen))

    def wrote(self, live: Object) -> None:
        """Our ConfigMap is as it should be now."""
        uid, version = versions(live)
        self._good[uid] = version

    def forget(self, child: Object) -> None:
        """A child is gone."""
        self._good.pop(child["metadata"].get("uid", ""), None)

    def _sources(self, cr: ObjectKey, spec: Spec) -> Iterator[_Source]:
        named = spec.networking.tls.ca_bundle if spec.networking.tls else None
        if named is not None:
            home = named.config_map_namespace or cr.namespace
            if self._config_maps.may_read(cr.namespace, home):
                keys = tuple(sorted(set(named.config_map_keys)))
                yield _Source(ObjectKey(home, named.config_map_name), keys, named=True)
        found = ObjectKey(cr.namespace, ODH_CA_BUNDLE)
        if self._caches.config_map(found) is not None:
            yield _Source(found, None, named=False)

    def _seen(self, sources: tuple[_Source, ...]) -> str:
        """Stands for the sources as they are now; empty if that is not known without reading."""
        found: list[tuple[str, str]] = []
        for source in sources:
            summary = self._config_maps.known(source.key)
            meta = self._caches.config_map(source.key)
            if summary is not None and not summary.missing:
                found.append((summary.uid, summary.resource_version))
            elif meta is not None:
                found.append(versions(meta))
            else:
                return ""
        return self._stamp(sources, found)

    def _stamp(self, sources: tuple[_Source, ...], of: list[tuple[str, str]]) -> str:
        lines = [_FORM, self._public_digest]
        for source, (uid, version) in zip(sources, of, strict=True):
            keys = "*" if source.keys is None else " ".join(source.keys)
            lines.append(f"{source.key} {uid} {version} {source.named} {keys}")
        return _digest("\n".join(lines))[:16]

    def _in_place(self, cr: Object, seen: str) -> Trust | None:
        name = cr["metadata"]["name"]
        live = self._caches.owned(CONFIG_MAP, names.ca_bundle(name), cr)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return None
        annotations = live["metadata"].get("annotations") or {}
        digest = annotations.get(CA_BUNDLE_HASH)
        if not digest or annotations.get(CA_BUNDLE_SOURCES) != seen:
            return None
        if not labels.of_ca_bundle(name).items() <= (live["metadata"].get("labels") or {}).items():
            return None
        uid, version = versions(live)
        if self._good.setdefault(uid, version) != version:
            return None
        return Trust(digest, annotations.get(CA_BUNDLE_NOTE, ""))

    async def _bundle(self, sources: tuple[_Source, ...], seen: str) -> tuple[str, Bundle]:
        bundle = self._bundles.get(seen) if seen else None
        if bundle is not None:
            return seen, bundle
        parts: list[Part] = []
        found: list[tuple[str, str]] = []
        for source in sources:
            live, _ = await self._config_maps.read(source.key)
            found.append(versions(live) if live is not None else ("", ""))
            parts += [part async for part in self._parts(source, live)]
        bundle = ca_bundle.join(parts, await self._everybodys(), now=self._now())
        seen = self._stamp(sources, found)
        self._bundles.put(seen, bundle, len(bundle.text) + 1000)
        return seen, bundle

    async def _parts(self, source: _Source, live: Object | None) -> AsyncIterator[Part]:
        """The keys that are there; those that are not are reported elsewhere."""
        if live is not None and _is_bundle(live):
            # Two resources that name each other's would never come to rest.
            yield Part(source.key, source.keys[0] if source.keys else "", _OURS, source.named)
            return
        data = (live or {}).get("data") or {}
        binary = (live or {}).get("binaryData") or {}
        for key in sorted({*data, *binary}) if source.keys is None else source.keys:
            if key in data:
                content = await self._content(data[key])
            elif key in binary:
                content = _BINARY
            else:
                continue
            yield Part(source.key, key, content, source.named)

    async def _content(self, text: str) -> tuple[Certificate, ...] | NotUsable:
        digest = _digest(text)
        content = self._contents.get(digest)
        if content is None:
            try:
                content = await _read(text)
            except NotUsable as error:
                # Another one: what was raised keeps the text alive, by its traceback.
                content = NotUsable(error.cause, error.number)
            self._contents.put(digest, content, len(text))
        return content

    async def _everybodys(self) -> tuple[Certificate, ...]:
        if not self._public:
            self._public = await _read(self._public_text)
        return self._public


def _is_bundle(obj: Object) -> bool:
    found = obj["metadata"].get("labels") or {}
    return labels.of_ca_bundle(found.get(labels.INSTANCE, "")).items() <= found.items()


async def _read(text: str) -> tuple[Certificate, ...]:
    """The certificates of a text; others get their turn meanwhile.

    Raises:
        NotUsable: see :mod:`controller.llamastack.references.certificates`.
    """
    found = blocks(text)
    certificates: list[Certificate] = []
    for start in range(0, len(found), _SLICE):
        certificates += decoded(found[start : start + _SLICE])
        await asyncio.sleep(0)
    return tuple(certificates)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
