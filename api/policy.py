# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A ValidatingAdmissionPolicy for the nodes that the CRD must leave open (R-D2).

A provider section is an object or a list, a model a string or an object, ``expose`` a boolean or an
object. No structural schema says that, so CRD and CRD CEL see nothing inside these nodes. A policy
does: it works on the raw object, inside the API server, also while the operator is down. It says
what ``api.validation`` says, in the same words (a test holds them together), but stays with the
mistakes that people make; the webhook and the reconciler check everything.

How it is written:

- CEL has no functions, so variables do the work. ``items`` has, for each section, a list of
  ``{path, value}``; each rule is one more variable, a string with its messages.
- One validation joins them: the API server tells only the first that fails, and nobody wants to
  fix a manifest one message at a time.
- An error while evaluating refuses the request with words that help nobody. So each rule asks for
  the type of a value before it looks inside.
- Sections are gone through in a fixed order: maps have none, and the same object must get the same
  answer twice.
- Indices come from two-variable comprehensions: Kubernetes 1.33 and later.
- An update that leaves the spec alone is not looked at, nor is an object that is being deleted:
  labels, finalizers and deletions always get through.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any, Final

from api import GROUP, PLURAL, VERSION
from api.v1alpha2 import messages
from api.v1alpha2.providers import ENDPOINT, SECTIONS

NAME: Final = f"{PLURAL}.{GROUP}"
"""Name of the policy and of its binding."""

MAX_MESSAGE: Final = 2000
"""Characters of the answer. The API server drops an answer of more than 5 KiB altogether."""

_MORE: Final = "; "
"""Between two messages of one rule."""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule.

    Attributes:
        variable: name of the variable that holds the messages.
        cel: expression that gives the messages as one string; empty if all is well.
    """

    variable: str
    cel: str


def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """The policy and the binding that makes it deny, as plain JSON data."""
    return validating_admission_policy(), validating_admission_policy_binding()


def validating_admission_policy() -> dict[str, Any]:
    """The policy."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": [VERSION],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [PLURAL],
                    }
                ]
            },
            "matchConditions": [
                {
                    "name": "spec-changed",
                    "expression": "oldObject == null || object.spec != oldObject.spec",
                },
                {
                    "name": "not-being-deleted",
                    "expression": "!has(object.metadata.deletionTimestamp)",
                },
            ],
            "variables": [
                *({"name": name, "expression": cel} for name, cel in _VARIABLES),
                *({"name": rule.variable, "expression": rule.cel} for rule in RULES),
                {"name": "findings", "expression": _all_messages()},
            ],
            "validations": [
                {
                    "expression": "variables.findings == ''",
                    "messageExpression": f"variables.findings.size() <= {MAX_MESSAGE}"
                    " ? variables.findings"
                    f" : variables.findings.substring(0, {MAX_MESSAGE}) + ' …'",
                    "message": "spec: providers, resources.models, disabled or networking.expose"
                    " break rules",
                    "reason": "Invalid",
                }
            ],
        },
    }


def validating_admission_policy_binding() -> dict[str, Any]:
    """The binding: everywhere, and what breaks a rule is refused."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME, "validationActions": ["Deny"]},
    }


def _all_messages() -> str:
    listed = ", ".join(f"variables.{rule.variable}" for rule in RULES)
    return f"[{listed}].filter(m, m != '').join('{_MORE}')"


# --- CEL, in pieces ------------------------------------------------------------------------------


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _has(value: str, field: str) -> str:
    """A field that is there; an explicit null is not."""
    return f"(has({value}.{field}) && {value}.{field} != null)"


def _is(value: str, field: str, kind: str) -> str:
    """A field that is there and has the type."""
    return f"(has({value}.{field}) && type({value}.{field}) == {kind})"


def _message(path: str, text: str) -> str:
    """A message at a path below the item ``x``."""
    return f"x.path + {_quote(f'{path}: {text}')}"


def _filled(text: str, **values: str) -> str:
    """A message of several parts, with CEL expressions for its placeholders."""
    parts = []
    for literal, field, _, _ in string.Formatter().parse(text):
        parts.append(_quote(literal))
        if field is not None:
            parts.append(values[field])
    return " + ".join(parts)


def _each(items: str, *checks: tuple[str, str]) -> str:
    """All messages about the items ``x`` of nested lists: pairs of condition and message."""
    found = " + ".join(f"({wrong} ? [{message}] : [])" for wrong, message in checks)
    return (
        f"{items}.map(l, l.map(x, ({found}).join('{_MORE}')).filter(m, m != '').join('{_MORE}'))"
        f".filter(m, m != '').join('{_MORE}')"
    )


def _wrong_type(field: str, kind: str, text: str) -> tuple[str, str]:
    """The check that a field of a provider has a type, if it is there."""
    wrong = f"{_has('x.value', field)} && type(x.value.{field}) != {kind}"
    return wrong, _message(f".{field}", text)


def _not_a_secret(value: str) -> str:
    """Whether a value is not ``{secretKeyRef: {name, key}}``."""
    selector = f"{value}.secretKeyRef"
    return (
        f"!(type({value}) == map && {_is(value, 'secretKeyRef', 'map')} && "
        f"{_is(selector, 'name', 'string')} && {_is(selector, 'key', 'string')})"
    )


def _required_setting(provider: str, names: tuple[str, ...], text: str) -> tuple[str, str]:
    """The check that a provider of a type has one of several settings, plain or as a Secret."""
    present = " || ".join(
        f"({_is('x.value', where, 'map')} && {_has(f'x.value.{where}', name)})"
        for name in names
        for where in ("settings", "secretRefs")
    )
    return (
        f"x.type == '{provider}' && !({present})",
        _message(f".settings.{names[0]}", text),
    )


_SECTION_LIST: Final = ", ".join(_quote(section) for section in SECTIONS)

_VARIABLES: Final = (
    (
        "sections",
        "has(object.spec.providers) ? object.spec.providers : {}",
    ),
    (
        "apis",
        f"[{_SECTION_LIST}].filter(s, s in variables.sections && variables.sections[s] != null)",
    ),
    (
        "items",
        "variables.apis.map(s, type(variables.sections[s]) == list"
        " ? variables.sections[s].transformList(i, v,"
        " {'path': dyn('spec.providers.' + s + '[' + string(i) + ']'), 'value': v})"
        " : [{'path': dyn('spec.providers.' + s), 'value': variables.sections[s]}])",
    ),
    (
        # Only what can be looked into, with its type and its id.
        "providers",
        "variables.items.map(l, l.filter(x, type(x.value) == map).map(x, {"
        "'path': x.path, 'value': x.value,"
        f" 'type': {_is('x.value', 'provider', 'string')} ? x.value.provider : dyn(''),"
        f" 'id': {_is('x.value', 'id', 'string')} ? x.value.id"
        f" : {_is('x.value', 'provider', 'string')} ? x.value.provider : dyn('')}}))",
    ),
    (
        "lists",
        "variables.items.filter(l, l.size() > 1)",
    ),
    (
        "configured",
        "variables.apis.filter(s, type(variables.sections[s]) != list"
        " || variables.sections[s].size() > 0).map(s, 'spec.providers.' + s)"
        " + (has(object.spec.externalProviders) ?"
        f" [{_SECTION_LIST}].filter(s, s in object.spec.externalProviders"
        " && object.spec.externalProviders[s].size() > 0)"
        ".map(s, 'spec.externalProviders.' + s) : [])",
    ),
    (
        "models",
        "has(object.spec.resources) && has(object.spec.resources.models)"
        " ? object.spec.resources.models : []",
    ),
    (
        "expose",
        "has(object.spec.networking) && has(object.spec.networking.expose)"
        " ? object.spec.networking.expose : true",
    ),
)

_SAME_ID: Final = (
    "variables.providers.map(k, k.filter(y, y.id == x.id).map(y, y.path).join(', '))"
    ".filter(m, m != '').join(', ')"
)

RULES: Final = (
    PolicyRule(
        "badShape",
        _each(
            "variables.items",
            ("type(x.value) != map && x.path.endsWith(']')", _message("", messages.OBJECT)),
            ("type(x.value) != map && !x.path.endsWith(']')", _message("", messages.ONE_OR_LIST)),
        ),
    ),
    PolicyRule(
        "badProvider",
        _each(
            "variables.providers",
            (f"!{_has('x.value', 'provider')}", _message(".provider", messages.REQUIRED)),
            _wrong_type("provider", "string", messages.STRING),
            _wrong_type("id", "string", messages.STRING),
            _wrong_type("endpoint", "string", messages.STRING),
            (
                f"{_is('x.value', 'endpoint', 'string')} && "
                f"!x.value.endpoint.matches({_quote(ENDPOINT)})",
                _message(".endpoint", f"must be {messages.A_URL}"),
            ),
            _wrong_type("settings", "map", messages.OBJECT),
        ),
    ),
    PolicyRule(
        "badSecret",
        _each(
            "variables.providers",
            (
                f"{_has('x.value', 'apiKey')} && {_not_a_secret('x.value.apiKey')}",
                _message(".apiKey", messages.REFERENCE),
            ),
            _wrong_type("secretRefs", "map", messages.OBJECT),
            (
                f"{_is('x.value', 'secretRefs', 'map')} && "
                f"x.value.secretRefs.exists(f, {_not_a_secret('x.value.secretRefs[f]')})",
                _message(".secretRefs", f"each field {messages.REFERENCE}"),
            ),
        ),
    ),
    PolicyRule(
        "missingId",
        _each(
            "variables.lists",
            (
                f"type(x.value) == map && !{_has('x.value', 'id')}",
                _message(".id", messages.ID_REQUIRED),
            ),
        ),
    ),
    PolicyRule(
        "duplicateId",
        _each(
            "variables.providers",
            (
                # Said once, at the last place; the message lists all of them.
                f"x.id != '' && ({_SAME_ID}).endsWith(', ' + x.path)",
                "x.path + '.id: ' + " + _filled(messages.ID_TWICE, id="x.id", paths=_SAME_ID),
            ),
        ),
    ),
    PolicyRule(
        "disabledButConfigured",
        "(has(object.spec.disabled) ? object.spec.disabled : [])"
        ".transformList(i, d, variables.configured.exists(c, c.endsWith('.' + d)),"
        " 'spec.disabled[' + string(i) + ']: ' + "
        + _filled(
            messages.CONFIGURED_AND_DISABLED,
            api="d",
            paths="variables.configured.filter(c, c.endsWith('.' + d)).join(', ')",
        )
        + f").join('{_MORE}')",
    ),
    PolicyRule(
        "badModel",
        "variables.models.transformList(i, m, !(type(m) == string ? m != ''"
        " : type(m) == map && has(m.name) && type(m.name) == string && m.name != ''),"
        f" 'spec.resources.models[' + string(i) + ']: ' + {_quote(messages.NAME_OR_MODEL)})"
        f".join('{_MORE}')",
    ),
    PolicyRule(
        "badExpose",
        "variables.expose == null || type(variables.expose) == bool ? ''"
        f" : type(variables.expose) != map ? {_quote(f'spec.networking.expose: {messages.SWITCH}')}"
        f" : {_has('variables.expose', 'enabled')} && type(variables.expose.enabled) != bool"
        f" ? {_quote(f'spec.networking.expose.enabled: {messages.BOOLEAN}')}"
        " : ['hostname', 'ingressClassName', 'tlsSecretName'].filter(f, f in variables.expose"
        " && variables.expose[f] != null && type(variables.expose[f]) != string)"
        f".map(f, 'spec.networking.expose.' + f + {_quote(f': {messages.STRING}')})"
        f".join('{_MORE}')",
    ),
    PolicyRule(
        "missingSetting",
        _each(
            "variables.providers",
            _required_setting("bedrock", ("region", "region_name"), messages.BEDROCK_REGION),
            _required_setting(
                "azure", ("deploymentName", "deployment_name"), messages.AZURE_DEPLOYMENT
            ),
        ),
    ),
)
"""All rules, in the order in which they are said."""
