# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever is stored, by whichever definition: a plan and a status come of it, never a traceback.

The pure path of a reconcile, for authors of both versions.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.conditions import condition
from api.v1alpha2 import LlamaStackDistribution
from api.v1alpha2.reasons import Reason
from api.v1alpha2.status import Status
from controller.llamastack.cache.reference_index import reference_index, secrets_of_pods
from controller.llamastack.objects.author import in_version_of_author, keep_version
from controller.llamastack.objects.stored_status import with_readable_status
from controller.llamastack.planning.plan import make_plan
from controller.llamastack.status.compute import compute
from controller.llamastack.status.events import between
from controller.llamastack.status.facts import Facts
from tests.support.apicase import resource
from tests.support.config_specs import DISTRIBUTIONS
from tests.support.schema_strategies import JSON, misfits_of, objects_of

Json = dict[str, Any]
NOW = "2026-01-01T00:00:00Z"

WRITTEN_IN = st.sampled_from(["llamastack.io/v1alpha1", "llamastack.io/v1alpha2"])
SPECS = misfits_of(LlamaStackDistribution, "spec").map(lambda obj: obj["spec"])
STATUSES = objects_of(Status, strange=True) | JSON


def stored(spec: Any, status: Any, written_in: str) -> Json:
    """A resource as the cache has it."""
    obj = resource()
    entry = {"apiVersion": written_in, "fieldsV1": {"f:spec": {}}}
    metadata = {**obj["metadata"], "namespace": "n", "uid": "u", "generation": 2}
    obj |= {"metadata": {**metadata, "managedFields": [entry]}, "spec": spec, "status": status}
    return dict(keep_version(obj))


def told(obj: Json) -> Json:
    """The status that a reconcile leads to which does not get to the children."""
    cr = with_readable_status(obj)
    plan = make_plan(cr, DISTRIBUTIONS)
    facts = Facts(cr, NOW, generated=plan.generated, config_problem=plan.problem)
    status = in_version_of_author(compute(facts), cr)
    between(cr.get("status") or {}, status, deployment_changed=False)
    return status


@settings(max_examples=300)
@given(spec=SPECS | JSON, written_in=WRITTEN_IN)
def test_spec_of_any_shape_is_answered(spec: Any, written_in: str) -> None:
    obj = stored(spec, {}, written_in)

    reference_index(obj)
    secrets_of_pods(obj)
    ready = condition({"status": told(obj)}, "Ready")

    if ready["reason"] == Reason.VALIDATION_FAILED:
        assert str(ready["message"]).startswith("spec")


@settings(max_examples=300)
@given(status=STATUSES, written_in=WRITTEN_IN)
def test_status_of_any_shape_is_written_again(status: Any, written_in: str) -> None:
    obj = stored({"distribution": {"name": "starter"}}, status, written_in)

    again = told(obj)

    assert condition({"status": again}, "ConfigGenerated")["status"] == "True"
    Status.model_validate(again)
