# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""From an event of any watched kind to the key of one LlamaStackDistribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.llamastack import children
from controller.llamastack.caches import SECRET_INDEX, secret_index
from controller.llamastack.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    LLAMA_STACK,
    SECRET,
)
from controller.llamastack.rollout import assess
from controller.runtime.handlers import EnqueueMapped, EnqueueOwner, EnqueueSelf, Handler
from informers.ports import ObjectKey, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from controller.llamastack.caches import Caches
    from controller.llamastack.reconciler import LlamaStackReconciler
    from controller.llamastack.secrets import SecretResolver
    from controller.runtime.consistency import ConsistencyTracker
    from informers.ports import Object, Resource
    from workqueue import RateLimitingQueue

CHILDREN = (*children.RESOURCES, CONFIG_MAP)


def handlers(
    *,
    queue: RateLimitingQueue[ObjectKey],
    consistency: ConsistencyTracker,
    caches: Caches,
    secrets: SecretResolver,
    reconciler: LlamaStackReconciler,
) -> Iterator[tuple[Resource, Handler]]:
    """Every handler and the kind whose events it wants; memories first, then the queue.

    Args:
        queue: gets the keys.
        consistency: recognises our own writes.
        caches: hold the indices that map a Secret to its users.
        secrets: is told when a finding may be out of date, before anybody is woken.
        reconciler: is told what is gone.
    """
    yield LLAMA_STACK, _Forgetting(reconciler, secrets, caches)
    yield LLAMA_STACK, EnqueueSelf(queue, LLAMA_STACK, tracker=consistency)
    for child in CHILDREN:
        yield child, _ForgettingChildren(reconciler)
        yield (
            child,
            EnqueueOwner(
                queue,
                child,
                owner=LLAMA_STACK,
                predicate=_says_something_new if child is DEPLOYMENT else None,
                tracker=consistency,
            ),
        )
    yield SECRET, _Outdating(secrets)
    yield SECRET, EnqueueMapped(queue, SECRET, mapper=lambda obj: _users_of(obj, caches))


def _says_something_new(old: Object, new: Object) -> bool:
    """Whether an update of a Deployment can change what a pass would do or report.

    A rollout updates the status half a dozen times; most of that reads the same in our words.
    """
    before, after = dict(old["metadata"]), dict(new["metadata"])
    before["resourceVersion"] = after["resourceVersion"]
    return before != after or old["spec"] != new["spec"] or assess(old) != assess(new)


def _users_of(secret: Object, caches: Caches) -> Iterable[ObjectKey]:
    users = caches.resources.by_index(SECRET_INDEX, str(key_of(secret)))
    return [key_of(user) for user in users]


class _Quiet:
    """A handler of which subclasses override what they want to hear."""

    def on_add(self, obj: Object, *, initial: bool) -> None:
        """Nothing to do."""

    def on_update(self, old: Object, new: Object) -> None:
        """Nothing to do."""

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """Nothing to do."""


class _Forgetting(_Quiet):
    """What was remembered of a resource goes with it, or with its references."""

    def __init__(
        self, reconciler: LlamaStackReconciler, secrets: SecretResolver, caches: Caches
    ) -> None:
        self._reconciler = reconciler
        self._secrets = secrets
        self._caches = caches

    def on_update(self, old: Object, new: Object) -> None:
        """A new uid is another resource of the same name."""
        if old["metadata"].get("uid") != new["metadata"].get("uid"):
            self._reconciler.forget(old)
        if old["metadata"].get("generation") != new["metadata"].get("generation"):
            self._forget_secrets(old)

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """Gone."""
        self._reconciler.forget(obj)
        self._forget_secrets(obj)

    def _forget_secrets(self, cr: Object) -> None:
        for reference in secret_index(cr):
            if not any(self._caches.resources.by_index(SECRET_INDEX, reference)):
                namespace, _, name = reference.partition("/")
                self._secrets.forget(ObjectKey(namespace, name))


class _ForgettingChildren(_Quiet):
    """Likewise for a child."""

    def __init__(self, reconciler: LlamaStackReconciler) -> None:
        self._reconciler = reconciler

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """Gone."""
        self._reconciler.forget_child(obj)


class _Outdating(_Quiet):
    """Findings follow the Secrets."""

    def __init__(self, secrets: SecretResolver) -> None:
        self._secrets = secrets

    def on_add(self, obj: Object, *, initial: bool) -> None:
        """Appeared, or changed while nobody referred to it."""
        self._secrets.changed(key_of(obj), _version(obj))

    def on_update(self, old: Object, new: Object) -> None:
        """Changed."""
        self._secrets.changed(key_of(new), _version(new))

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """Gone."""
        self._secrets.changed(key_of(obj), "")


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))
