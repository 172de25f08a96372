# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The variables and rules of the policy, in CEL, for each version that has such nodes.

The rules are the same in both versions; a :class:`Surface` says where they look and what the fields
are called, so that authors of either read the paths that they wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from api import ANNOTATIONS, OLD_VERSION, VERSION
from api.policy_cel import (
    SEPARATOR,
    each,
    filled,
    has,
    is_a,
    message,
    not_a_secret,
    quote,
    wrong_type,
)
from api.v1alpha1.providers import SECTIONS as OLD_SECTIONS
from api.v1alpha2 import messages
from api.v1alpha2.providers import ENDPOINT, SECTIONS


@dataclass(frozen=True, slots=True)
class Surface:
    """How a version spells what the rules are about.

    Attributes:
        version: of the API.
        root: path of the node that holds ``providers`` and the others.
        sections: the sections of providers.
        settings: field of a provider with what is passed on as it is.
        secrets: field of a provider with further Secrets; empty if there is none.
        selectors: fields of a provider that are a Secret each.
        named_settings: whether some settings are fields of a provider.
        hidden: annotation in which settings may be that this version has no field for; empty if
            there is none.
    """

    version: str
    root: str
    sections: tuple[str, ...]
    settings: str
    secrets: str
    selectors: tuple[str, ...]
    named_settings: tuple[str, ...]
    hidden: str = ""

    @property
    def judged(self) -> tuple[str, ...]:
        """The nodes below the root that the rules are about."""
        exposed = ("networking.expose",) if not self.hidden else ()
        return ("providers", "resources", "disabled", "externalProviders", *exposed)

    def at(self, field: str) -> str:
        """A node below the root, in CEL."""
        return f"object.{self.root}.{field}"


V1ALPHA2: Final = Surface(
    version=VERSION,
    root="spec",
    sections=SECTIONS,
    settings="settings",
    secrets="secretRefs",
    selectors=("apiKey",),
    named_settings=(),
)
V1ALPHA1: Final = Surface(
    version=OLD_VERSION,
    root="spec.server",
    sections=OLD_SECTIONS,
    settings="config",
    secrets="",
    selectors=("apiKey", "host"),
    named_settings=("region", "deploymentName"),
    hidden=ANNOTATIONS[VERSION],
)


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule.

    Attributes:
        variable: name of the variable that holds the messages.
        cel: expression that gives the messages as one string; empty if all is well.
    """

    variable: str
    cel: str


def variables(surface: Surface) -> tuple[tuple[str, str], ...]:
    """What the rules look at, by name."""
    names = ", ".join(quote(section) for section in surface.sections)
    root, at, external = surface.root, surface.at, surface.at("externalProviders")
    return (
        (
            "sections",
            f"has({at('providers')}) ? {at('providers')} : {{}}",
        ),
        (
            "apis",
            f"[{names}].filter(s, s in variables.sections && variables.sections[s] != null)",
        ),
        (
            "items",
            "variables.apis.map(s, type(variables.sections[s]) == list"
            " ? variables.sections[s].transformList(i, v,"
            f" {{'path': dyn('{root}.providers.' + s + '[' + string(i) + ']'), 'value': v}})"
            f" : [{{'path': dyn('{root}.providers.' + s), 'value': variables.sections[s]}}])",
        ),
        (
            # Only what can be looked into, with its type and its id.
            "providers",
            "variables.items.map(l, l.filter(x, type(x.value) == map).map(x, {"
            "'path': x.path, 'value': x.value,"
            f" 'type': {is_a('x.value', 'provider', 'string')} ? x.value.provider : dyn(''),"
            f" 'id': {is_a('x.value', 'id', 'string')} ? x.value.id"
            f" : {is_a('x.value', 'provider', 'string')} ? x.value.provider : dyn('')}}))",
        ),
        (
            "lists",
            "variables.items.filter(l, l.size() > 1)",
        ),
        (
            "configured",
            "variables.apis.filter(s, type(variables.sections[s]) != list"
            " || variables.sections[s].size() > 0).map(s, '" + root + ".providers.' + s)"
            f" + (has({external}) ?"
            f" [{names}].filter(s, s in {external}"
            f" && {external}[s].size() > 0)"
            f".map(s, '{root}.externalProviders.' + s) : [])",
        ),
        (
            "models",
            f"has({at('resources')}) && has({at('resources')}.models)"
            f" ? {at('resources')}.models : []",
        ),
        *((_EXPOSED,) if surface is V1ALPHA2 else ()),
    )


_EXPOSED: Final = (
    "expose",
    "has(object.spec.networking) && has(object.spec.networking.expose)"
    " ? object.spec.networking.expose : true",
)


_SAME_ID: Final = (
    "variables.providers.map(k, k.filter(y, y.id == x.id).map(y, y.path).join(', '))"
    ".filter(m, m != '').join(', ')"
)


def rules(surface: Surface) -> tuple[PolicyRule, ...]:
    """All rules, in the order in which they are said."""
    return (
        *_provider_rules(surface),
        *_other_rules(surface),
        *((EXPOSE,) if surface is V1ALPHA2 else ()),
        _missing_setting(surface),
    )


def _provider_rules(surface: Surface) -> tuple[PolicyRule, ...]:
    return (
        PolicyRule(
            "badShape",
            each(
                "variables.items",
                ("type(x.value) != map && x.path.endsWith(']')", message("", messages.OBJECT)),
                (
                    "type(x.value) != map && !x.path.endsWith(']')",
                    message("", messages.ONE_OR_LIST),
                ),
            ),
        ),
        PolicyRule(
            "badProvider",
            each(
                "variables.providers",
                (f"!{has('x.value', 'provider')}", message(".provider", messages.REQUIRED)),
                wrong_type("provider", "string", messages.STRING),
                wrong_type("id", "string", messages.STRING),
                wrong_type("endpoint", "string", messages.STRING),
                (
                    f"{is_a('x.value', 'endpoint', 'string')} && "
                    f"!x.value.endpoint.matches({quote(ENDPOINT)})",
                    message(".endpoint", f"must be {messages.A_URL}"),
                ),
                wrong_type(surface.settings, "map", messages.OBJECT),
            ),
        ),
        PolicyRule(
            "badSecret",
            each(
                "variables.providers",
                *_bad_secrets(surface),
            ),
        ),
        PolicyRule(
            "missingId",
            each(
                "variables.lists",
                (
                    f"type(x.value) == map && !{has('x.value', 'id')}",
                    message(".id", messages.ID_REQUIRED),
                ),
            ),
        ),
        PolicyRule(
            "duplicateId",
            each(
                "variables.providers",
                (
                    # Said once, at the last place; the message lists all of them.
                    f"x.id != '' && ({_SAME_ID}).endsWith(', ' + x.path)",
                    "x.path + '.id: ' + " + filled(messages.ID_TWICE, id="x.id", paths=_SAME_ID),
                ),
            ),
        ),
    )


def _other_rules(surface: Surface) -> tuple[PolicyRule, ...]:
    root, at = surface.root, surface.at
    return (
        PolicyRule(
            "disabledButConfigured",
            f"(has({at('disabled')}) ? {at('disabled')} : [])"
            ".transformList(i, d, variables.configured.exists(c, c.endsWith('.' + d)),"
            f" '{root}.disabled[' + string(i) + ']: ' + "
            + filled(
                messages.CONFIGURED_AND_DISABLED,
                api="d",
                paths="variables.configured.filter(c, c.endsWith('.' + d)).join(', ')",
            )
            + f").join('{SEPARATOR}')",
        ),
        PolicyRule(
            "badModel",
            "variables.models.transformList(i, m, !(type(m) == string ? m != ''"
            " : type(m) == map && has(m.name) && type(m.name) == string && m.name != ''),"
            f" '{root}.resources.models[' + string(i) + ']: ' + {quote(messages.NAME_OR_MODEL)})"
            f".join('{SEPARATOR}')",
        ),
    )


def _missing_setting(surface: Surface) -> PolicyRule:
    return PolicyRule(
        "missingSetting",
        each(
            "variables.providers",
            _required_setting(
                surface, "bedrock", ("region", "region_name"), messages.BEDROCK_REGION
            ),
            _required_setting(
                surface, "azure", ("deploymentName", "deployment_name"), messages.AZURE_DEPLOYMENT
            ),
        ),
    )


def _bad_secrets(surface: Surface) -> list[tuple[str, str]]:
    checks = [
        (
            f"{has('x.value', field)} && {not_a_secret(f'x.value.{field}')}",
            message(f".{field}", messages.REFERENCE),
        )
        for field in surface.selectors
    ]
    if surface.secrets:
        secrets = f"x.value.{surface.secrets}"
        checks += [
            wrong_type(surface.secrets, "map", messages.OBJECT),
            (
                f"{is_a('x.value', surface.secrets, 'map')} && "
                f"{secrets}.exists(f, {not_a_secret(f'{secrets}[f]')})",
                message(f".{surface.secrets}", f"each field {messages.REFERENCE}"),
            ),
        ]
    return checks


def _required_setting(
    surface: Surface, provider: str, names: tuple[str, ...], text: str
) -> tuple[str, str]:
    """The check that a provider of a type has one of several settings, plain or as a Secret."""
    places = [where for where in (surface.settings, surface.secrets) if where]
    present = [
        f"({is_a('x.value', where, 'map')} && {has(f'x.value.{where}', name)})"
        for name in names
        for where in places
    ]
    if names[0] in surface.named_settings:
        present.insert(0, has("x.value", names[0]))
        path = f".{names[0]}"
    else:
        path = f".{surface.settings}.{names[0]}"
    if surface.hidden:
        # There may be a Secret with it; the webhook reads what the annotation holds.
        annotations = "object.metadata.annotations"
        present.append(f"(has({annotations}) && '{surface.hidden}' in {annotations})")
    # Of settings that are no object something else is said.
    settings = f"x.value.{surface.settings}"
    readable = f"(!{has('x.value', surface.settings)} || type({settings}) == map)"
    missing = f"x.type == '{provider}' && {readable} && !({' || '.join(present)})"
    return missing, message(path, text)


EXPOSE: Final = PolicyRule(
    "badExpose",
    "variables.expose == null || type(variables.expose) == bool ? ''"
    f" : type(variables.expose) != map ? {quote(f'spec.networking.expose: {messages.SWITCH}')}"
    f" : {has('variables.expose', 'enabled')} && type(variables.expose.enabled) != bool"
    f" ? {quote(f'spec.networking.expose.enabled: {messages.BOOLEAN}')}"
    " : ['hostname', 'ingressClassName', 'tlsSecretName'].filter(f, f in variables.expose"
    " && variables.expose[f] != null && type(variables.expose[f]) != string)"
    f".map(f, 'spec.networking.expose.' + f + {quote(f': {messages.STRING}')})"
    f".join('{SEPARATOR}')",
)
"""v1alpha1 has only yes and no, which its schema can say."""
