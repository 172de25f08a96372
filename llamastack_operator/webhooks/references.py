# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whether the Secrets and ConfigMaps that an object refers to are there, with their keys.

They are read live and side by side, because a cache may not know yet what somebody made a moment
ago, and ``kubectl apply`` of a Secret and a resource in one file must work. Of a Secret only the
names of its keys are looked at; nothing is kept. What cannot be found out in time is an error that
says so: a write is never let through because the API server was slow.

The findings are the reconciler's own, word by word (FR-073, FR-074).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from api.errors import FieldError
from api.v1alpha2.reasons import Reason
from controller.llamastack.objects.kinds import CONFIG_MAP, SECRET
from controller.llamastack.references import config_maps, secrets
from controller.llamastack.references.config_maps import ConfigMapSummary, Reach
from controller.llamastack.references.secrets import SecretSummary
from controller.runtime.concurrency import gather_settled, unwrap
from informers.errors import ApiError, DeadlineExceeded, Forbidden, NotFound
from informers.ports import ObjectKey
from llamastack_operator.webhooks.review import bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from api.v1alpha2.references import ConfigMapReference, SecretReference
    from informers.ports import Object, Resource
    from llamastack_operator.kube.ports import Requester

Place: TypeAlias = "tuple[Resource, ObjectKey]"
Found: TypeAlias = "frozenset[str] | ApiError | None"
"""The keys of an object, ``None`` if it is not there, or why that is not known."""

MOST_READS: Final = 16
"""At the same time, for one request: the client has 32 connections for everybody."""

_MOST_CAUSE: Final = 300

_THERE: Final = "there"  # as a uid: which one it is makes no difference


@dataclass(frozen=True, slots=True)
class Lookup:
    """What became of references.

    Attributes:
        missing: objects and keys that are not there.
        out_of_reach: objects in namespaces that may not be named.
        unknown: what could not be found out, and why.
    """

    missing: tuple[FieldError, ...] = ()
    out_of_reach: tuple[FieldError, ...] = ()
    unknown: tuple[FieldError, ...] = ()


class ReferenceChecker:
    """Looks up what an object refers to.

    Args:
        client: for live reads.
        reach: which namespaces a resource may name (R-D12).
    """

    def __init__(self, client: Requester, reach: Reach) -> None:
        self._client = client
        self._reach = reach

    async def check(
        self,
        namespace: str,
        secret_refs: Iterable[SecretReference],
        config_map_refs: Iterable[ConfigMapReference],
        *,
        deadline: float,
    ) -> Lookup:
        """What is missing, and what could not be found out.

        Args:
            namespace: of the object.
            secret_refs: to look up.
            config_map_refs: to look up.
            deadline: on the loop's clock; there is an answer by then.
        """
        of_secrets = {ref: ObjectKey(namespace, ref.name) for ref in secret_refs}
        of_maps = {ref: ObjectKey(ref.namespace or namespace, ref.name) for ref in config_map_refs}
        places: list[Place] = [(SECRET, key) for key in sorted(set(of_secrets.values()))]
        # What a resource may not name is not even looked at: its absence would tell, too.
        places += [
            (CONFIG_MAP, key)
            for key in sorted(set(of_maps.values()))
            if self._reach.covers(namespace, key.namespace)
        ]
        found = await self._read_all(places, deadline)
        unknown = [
            *_unknown(SECRET, of_secrets, found),
            *_unknown(CONFIG_MAP, of_maps, found),
        ]
        resolution = secrets.judge(
            namespace,
            tuple(ref for ref, key in of_secrets.items() if _is_known(found, SECRET, key)),
            {key.name: _secret(keys) for key, keys in _known(found, SECRET).items()},
        )
        problems = config_maps.judge(
            namespace,
            tuple(ref for ref, key in of_maps.items() if _is_known(found, CONFIG_MAP, key)),
            {key: _config_map(keys) for key, keys in _known(found, CONFIG_MAP).items()},
        ).problems
        far = [error for reason, error in problems if reason == Reason.CROSS_NAMESPACE_REFERENCE]
        missing = (*resolution.errors, *(error for _, error in problems if error not in far))
        return Lookup(*(tuple(dict.fromkeys(each)) for each in (missing, far, unknown)))

    async def _read_all(self, places: list[Place], deadline: float) -> Mapping[Place, Found]:
        at_once = asyncio.Semaphore(MOST_READS)
        results = await gather_settled(
            *(self._read(resource, key, at_once, deadline) for resource, key in places)
        )
        return {
            place: result if isinstance(result, ApiError) else unwrap(result)
            for place, result in zip(places, results, strict=True)
        }

    async def _read(
        self, resource: Resource, key: ObjectKey, at_once: asyncio.Semaphore, deadline: float
    ) -> frozenset[str] | None:
        path = resource.path(namespace=key.namespace, name=key.name)
        try:
            async with asyncio.timeout_at(deadline), at_once:
                return _keys_of(await self._client.request("GET", path))
        except TimeoutError:
            raise DeadlineExceeded("the API server did not answer in time") from None
        except NotFound:
            return None


def _keys_of(obj: Object) -> frozenset[str]:
    """The names of the keys, and nothing else of it."""
    return frozenset(name for part in ("data", "binaryData") for name in obj.get(part) or ())


def _is_known(found: Mapping[Place, Found], resource: Resource, key: ObjectKey) -> bool:
    return not isinstance(found.get((resource, key)), ApiError)


def _known(
    found: Mapping[Place, Found], resource: Resource
) -> dict[ObjectKey, frozenset[str] | None]:
    return {
        key: keys
        for (kind, key), keys in found.items()
        if kind == resource and not isinstance(keys, ApiError)
    }


def _secret(keys: frozenset[str] | None) -> SecretSummary:
    return SecretSummary() if keys is None else SecretSummary(uid=_THERE, keys=keys)


def _config_map(keys: frozenset[str] | None) -> ConfigMapSummary:
    if keys is None:
        return ConfigMapSummary()
    return ConfigMapSummary(uid=_THERE, digests=dict.fromkeys(keys, ""))


def _unknown(
    resource: Resource,
    references: Mapping[SecretReference, ObjectKey] | Mapping[ConfigMapReference, ObjectKey],
    found: Mapping[Place, Found],
) -> Iterator[FieldError]:
    for reference, key in references.items():
        error = found.get((resource, key))
        if isinstance(error, ApiError):
            yield FieldError(
                reference.path,
                f'could not find out whether {resource.kind} "{key.name}" is in namespace '
                f'"{key.namespace}": {_cause(error)}. Nothing was changed; try again',
            )


def _cause(error: ApiError) -> str:
    if isinstance(error, Forbidden):
        return "the operator lacks the right to look"
    return bounded(str(error), _MOST_CAUSE)
