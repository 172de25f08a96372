# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server fills in, so that it can be left out of a comparison. Pure.

Two objects of which one has been through the API server are equal if they are equal without these
fields. Where one of them says a field with the value that it has anyway, that is no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller.llamastack.objects.quantities import same_quantity
from controller.llamastack.render.images import pull_policy
from llamastack_operator.cli.owned_fields import same_member

_DEFAULTS: Final[Mapping[str, Any]] = {
    "defaultMode": 420,
    "divisor": "0",
    "dnsPolicy": "ClusterFirst",
    "failureThreshold": 3,
    "initialDelaySeconds": 0,
    "internalTrafficPolicy": "Cluster",
    "periodSeconds": 10,
    "progressDeadlineSeconds": 600,
    "protocol": "TCP",
    "restartPolicy": "Always",
    "revisionHistoryLimit": 10,
    "schedulerName": "default-scheduler",
    "scheme": "HTTP",
    "sessionAffinity": "None",
    "successThreshold": 1,
    "terminationGracePeriodSeconds": 30,
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "timeoutSeconds": 1,
    "volumeMode": "Filesystem",
}
"""By the name of the field; each means the same wherever it stands in our kinds."""

_FILLED_IN: Final = frozenset(
    {
        "clusterIP",
        "clusterIPs",
        "creationTimestamp",
        "ipFamilies",
        "ipFamilyPolicy",
        "serviceAccount",  # the old name of serviceAccountName
    }
)
"""Values that the API server chooses, or that say the same as another field."""

_EMPTY: Final = frozenset({"annotations", "labels", "resources", "securityContext"})
"""Objects that say nothing when they are empty; others, such as ``emptyDir``, do."""

_QUANTITIES: Final = frozenset({"limits", "requests"})


def without_defaults(value: Any) -> Any:
    """The value without what the API server fills in."""
    if isinstance(value, list):
        return [without_defaults(member) for member in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, below in value.items():
        plain = without_defaults(below)
        if not _is_default(name, plain, value):
            kept[name] = plain
    return kept


def _is_default(name: str, value: Any, parent: Mapping[str, Any]) -> bool:
    if value is None or name in _FILLED_IN:
        return True
    if name == "imagePullPolicy":
        return bool(value == pull_policy(str(parent.get("image", ""))))
    if name == "apiVersion":
        return bool(value == "v1" and "fieldPath" in parent)
    if name in _EMPTY:
        return bool(value == {})
    return name in _DEFAULTS and bool(value == _DEFAULTS[name])


def in_words_of(before: Any, after: Any, field: str = "") -> Any:
    """The second value, with quantities written as in the first where they are the same amount."""
    if isinstance(before, dict) and isinstance(after, dict):
        if field in _QUANTITIES:
            return {k: before[k] if _same(before.get(k), v) else v for k, v in after.items()}
        return {k: in_words_of(before.get(k), v, k) for k, v in after.items()}
    if isinstance(before, list) and isinstance(after, list):
        return [in_words_of(next((b for b in before if same_member(b, a)), None), a) for a in after]
    return after


def _same(before: Any, after: Any) -> bool:
    return before is not None and same_quantity(before, after)
