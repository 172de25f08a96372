# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The definition of the resource in a cluster of the Go operator: v1alpha1 alone."""

from __future__ import annotations

from api import OLD_VERSION
from api.crd import custom_resource_definition
from tests.support.go_objects import Json


def go_definition() -> Json:
    """With our schema of v1alpha1, in which conditions are one value, as they are there.

    What the two schemas admit beyond that is compared by ``test_api_go_crd``.
    """
    made = custom_resource_definition()
    (version,) = (v for v in made["spec"]["versions"] if v["name"] == OLD_VERSION)
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    conditions = status["properties"]["conditions"]
    for key in ("x-kubernetes-list-type", "x-kubernetes-list-map-keys"):
        conditions.pop(key, None)
    made["spec"]["versions"] = [{**version, "storage": True}]
    made["spec"].pop("conversion", None)
    return made
