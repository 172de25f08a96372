# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A ValidatingAdmissionPolicy for the nodes that the CRD must leave open (R-D2).

A provider section is an object or a list, a model a string or an object, ``expose`` a boolean or an
object. No structural schema says that, so CRD and CRD CEL see nothing inside these nodes. A policy
does: it works on the raw object, inside the API server, also while the operator is down. It says
what ``api.validation`` says, in the same words (a test holds them together), but stays with the
mistakes that people make; the webhook and the reconciler check everything.

How it is written:

- One policy a version, made from the same rules (``api.policy_rules``), so that each author reads
  the paths that he wrote. ``matchPolicy: Exact`` keeps the API server from converting an object.
- CEL has no functions, so variables do the work. ``items`` has, for each section, a list of
  ``{path, value}``; each rule is one more variable, a string with its messages.
- One validation joins them: the API server tells only the first that fails, and nobody wants to
  fix a manifest one message at a time.
- An error while evaluating refuses the request with words that help nobody. So each rule asks for
  the type of a value before it looks inside.
- Sections are gone through in a fixed order: maps have none, and the same object must get the same
  answer twice.
- Indices come from two-variable comprehensions: Kubernetes 1.33 and later.
- An update that leaves alone what the rules are about is not looked at, nor is an object that is
  being deleted: labels, finalizers and deletions always get through, and what was stored before a
  rule was there does not stand in the way of another change.
"""

from __future__ import annotations

from typing import Any, Final

from api import GROUP, PLURAL
from api.policy_cel import SEPARATOR
from api.policy_rules import V1ALPHA1, V1ALPHA2, PolicyRule, Surface, rules, variables

NAME: Final = f"{PLURAL}.{GROUP}"
"""Name of the policy for the hub version, and of its binding; the other has its version before."""

MAX_MESSAGE: Final = 2000
"""Characters of the answer. The API server drops an answer of more than 5 KiB altogether."""


def documents() -> tuple[dict[str, Any], ...]:
    """The policies, and for each the binding that makes it deny, as plain JSON data."""
    return tuple(
        document
        for surface in (V1ALPHA2, V1ALPHA1)
        for document in (
            validating_admission_policy(surface),
            validating_admission_policy_binding(surface),
        )
    )


def name_of(surface: Surface) -> str:
    """The name of a version's policy and of its binding."""
    return NAME if surface is V1ALPHA2 else f"{surface.version}.{NAME}"


def validating_admission_policy(surface: Surface = V1ALPHA2) -> dict[str, Any]:
    """The policy of a version."""
    made = rules(surface)
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name_of(surface)},
        "spec": {
            "failurePolicy": "Fail",
            # With the API's defaults, because it is compared as a whole: without, whoever applies
            # the same after somebody else has a conflict with what the API server made of it.
            "matchConstraints": {
                "matchPolicy": "Exact",
                "namespaceSelector": {},
                "objectSelector": {},
                "resourceRules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": [surface.version],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [PLURAL],
                        "scope": "*",
                    }
                ],
            },
            "matchConditions": [
                {"name": "judged-changed", "expression": _changed(surface)},
                {
                    "name": "not-being-deleted",
                    "expression": "!has(object.metadata.deletionTimestamp)",
                },
                *_has_root(surface),
            ],
            "variables": [
                *({"name": name, "expression": cel} for name, cel in variables(surface)),
                *({"name": rule.variable, "expression": rule.cel} for rule in made),
                {"name": "findings", "expression": _all_messages(made)},
            ],
            "validations": [
                {
                    "expression": "variables.findings == ''",
                    "messageExpression": f"variables.findings.size() <= {MAX_MESSAGE}"
                    " ? variables.findings"
                    f" : variables.findings.substring(0, {MAX_MESSAGE}) + ' …'",
                    "message": f"{surface.root}: open fields such as providers and"
                    " resources.models break rules",
                    "reason": "Invalid",
                }
            ],
        },
    }


def _changed(surface: Surface) -> str:
    """Whether a write creates an object, or changes a node that a rule is about."""
    parents = surface.root.split(".")[1:]
    found = ["oldObject == null"]
    for node in surface.judged:
        steps = [*parents, *node.split(".")]
        new, old = (
            f"{obj}.spec.?" + ".?".join(steps) + ".orValue(null)" for obj in ("object", "oldObject")
        )
        found.append(f"{new} != {old}")
    return " || ".join(found)


def validating_admission_policy_binding(surface: Surface = V1ALPHA2) -> dict[str, Any]:
    """The binding: everywhere, and what breaks a rule is refused."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name_of(surface)},
        "spec": {"policyName": name_of(surface), "validationActions": ["Deny"]},
    }


def _has_root(surface: Surface) -> list[dict[str, str]]:
    """Without the node that rules look into there is nothing to judge; the schema requires it."""
    if surface is V1ALPHA2:
        return []
    return [{"name": "has-server", "expression": "has(object.spec.server)"}]


def _all_messages(made: tuple[PolicyRule, ...]) -> str:
    listed = ", ".join(f"variables.{rule.variable}" for rule in made)
    return f"[{listed}].filter(m, m != '').join('{SEPARATOR}')"
