# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The last look before a config is written: would the server start on it?

The server notices some of this only by dying (a missing variable, an unknown backend) and some not
at all (two providers of one id: the last one wins). What the engine built itself should pass; what
this finds comes from ``settings``, or from a base config that the operator did not bring.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from api.v1alpha2 import Spec, messages
from configs import image_reference, merge, references, yaml_writer
from configs.content_cache import by_content
from configs.draft import Config, Draft
from configs.eras import Era
from configs.errors import Findings
from configs.external import containers
from configs.installs import Install, installs
from configs.providers import ProviderEntry

_BASE: Final = "spec.distribution"

_LIKE_A_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
_SECRET_SOURCES: Final = frozenset({"secretKeyRef", "valueFrom"})
_BY_VARIABLE: Final = "write ${{env.{}}}, and set that variable in spec.workload.overrides.env"


def check(spec: Spec, draft: Draft) -> None:
    """Notes everything that would keep the server from starting, or from doing what is written."""
    _unique_ids(draft)
    _known_apis(draft)
    _backends(draft)
    _resources(spec, draft)
    _variables(spec, draft)
    _overridden(spec, draft)
    external_spec(spec, draft.findings)
    external(spec, draft.era, draft.variables, draft.findings)


def external_spec(spec: Spec, findings: Findings) -> None:
    """Notes what is wrong with external providers whatever config they are merged into.

    Args:
        spec: of the resource.
        findings: receives it.
    """
    for install in installs(spec):
        _image(install, findings)
        _taken_literally(install.provider.config, f"{install.path}.config", findings)
    _own_container(spec, findings)


def external(spec: Spec, era: Era | None, variables: Collection[str], findings: Findings) -> None:
    """Notes what keeps a server from starting with external providers, whatever is in their images.

    Args:
        spec: of the resource.
        era: of the config that they are merged into; ``None`` for one that nothing is known of.
        variables: every variable that is set in the server.
        findings: receives it.
    """
    for install in installs(spec):
        if install.api(era) is None:
            findings.error(
                f"spec.externalProviders.{install.section}",
                f"servers of era {era} have no such API",
                "leave the section out, or choose a distribution of another era",
            )
        expandable(install.provider.config, f"{install.path}.config", variables, findings)


def _image(install: Install, findings: Findings) -> None:
    """No node could pull what is no reference, and the pods would wait for it."""
    try:
        image_reference.parse(install.provider.image)
    except image_reference.NotAnImageReference as error:
        findings.error(f"{install.path}.image", str(error))


def _taken_literally(value: Any, path: str, findings: Findings) -> None:
    """Notes what means something elsewhere in the resource, or to a shell, and nothing here."""
    if isinstance(value, str):
        for name in _LIKE_A_VARIABLE.findall(value):
            findings.warn(path, f"${{{name}}} is not expanded", _BY_VARIABLE.format(name))
    elif isinstance(value, Mapping):
        if _SECRET_SOURCES.intersection(value):
            hint = _BY_VARIABLE.format("NAME")
            findings.warn(path, "is passed on as it is: no Secret is read for it", hint)
        for key, item in value.items():
            _taken_literally(item, f"{path}.{key}", findings)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _taken_literally(item, f"{path}[{index}]", findings)


def _own_container(spec: Spec, findings: Findings) -> None:
    """The server's container needs a name of its own among those that install."""
    taken = {install.container for install in installs(spec)}
    name = spec.workload.overrides.container_name
    if taken and name in taken | {containers.MERGE, containers.PREFLIGHT}:
        findings.error(
            "spec.workload.overrides.containerName",
            f'an init container for external providers has the name "{name}"',
            "choose another name",
        )


def _overridden(spec: Spec, draft: Draft) -> None:
    """An external provider takes the place of the distribution's own of the same id (FR-092).

    That one of the spec itself is replaced is a rule of the resource (``external_ids``).
    """
    for install in installs(spec):
        api = install.api(draft.era)
        if api is None or draft.entries.get(api):
            continue
        provider = install.provider
        for entry in draft.providers.get(api, ()):
            if references.nominal(entry["provider_id"]) == provider.provider_id:
                text = (
                    f"Provider ID '{provider.provider_id}' defined in both base config and "
                    f"externalProviders. Using external provider (image: {provider.image})"
                )
                draft.findings.warn(f"{install.path}.providerId", text)


def unwritable(draft: Draft) -> None:
    """Notes which provider's settings are not plain data; for a config that cannot be written."""
    for entry in _entries(draft):
        try:
            yaml_writer.document(entry.data(), sort_keys=True)
        except yaml_writer.EmitError as error:
            draft.findings.error(f"{entry.path}.settings", str(error))
    if not draft.findings.failed:
        draft.findings.error("spec", "holds something that no config can: no plain text or number")


def _entries(draft: Draft) -> Iterator[ProviderEntry]:
    for found in draft.entries.values():
        yield from found


def _unique_ids(draft: Draft) -> None:
    for api, providers in draft.providers.items():
        seen: dict[str, int] = {}
        own = draft.entries.get(api)
        for index, provider in enumerate(providers):
            provider_id = references.nominal(provider["provider_id"])
            first = seen.setdefault(provider_id, index)
            if first == index:
                continue
            if own:
                text = f"{own[first].path}, {own[index].path}"
                text = messages.ID_TWICE.format(id=provider_id, paths=text)
                draft.findings.error(f"{own[index].path}.id", text)
            else:
                draft.findings.error(_BASE, f'the base has two {api} providers "{provider_id}"')


def _known_apis(draft: Draft) -> None:
    for api in draft.providers:
        if not draft.catalogue.types(draft.era, api):
            draft.findings.error(_BASE, f"server {draft.era} has no API {api}, which the base uses")


def _backends(draft: Draft) -> None:
    """References to backends that are not there."""
    known = draft.data["storage"]["backends"]
    for name, store in draft.data["storage"]["stores"].items():
        if store.get("backend") not in known:
            draft.findings.error(_BASE, f"the store {name} is on a backend that does not exist")
        elif not _suits(store, known[store["backend"]]):
            draft.findings.error(_BASE, f"the store {name} is on a backend of the other family")
    for path, config in _configs(draft):
        for reference in _references(config):
            backend = reference["backend"]
            if backend not in known:
                draft.findings.error(
                    path,
                    f'there is no storage backend "{backend}"',
                    f"available: {', '.join(sorted(known))}",
                )
            elif not _suits(reference, known[backend]):
                draft.findings.error(
                    path,
                    f'the storage backend "{backend}" is of the other family',
                    "a namespace is of a kv_ backend, a table_name of a sql_ backend",
                )


def _suits(reference: Config, backend: Config) -> bool:
    """Whether key-value data is on a key-value backend, and tables on an SQL one."""
    kind = str(backend.get("type", ""))
    if "table_name" in reference:
        return kind.startswith("sql_")
    return kind.startswith("kv_") or "namespace" not in reference


def _configs(draft: Draft) -> Iterator[tuple[str, Config]]:
    """The config of each provider, and the field that it comes from."""
    for api, providers in draft.providers.items():
        own = draft.entries.get(api)
        for index, provider in enumerate(providers):
            path = f"{own[index].path}.settings" if own else _BASE
            yield path, provider.get("config", {})


def _references(node: Any) -> Iterator[Config]:
    """What in a provider's config refers to a backend."""
    if isinstance(node, dict):
        # Only together with where on it: other things are called backend, too.
        if isinstance(node.get("backend"), str) and ("namespace" in node or "table_name" in node):
            yield node
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _resources(spec: Spec, draft: Draft) -> None:
    """Registered resources whose provider is not there. External providers come in later."""
    external = {
        provider.provider_id
        for _, providers in (spec.external_providers.items() if spec.external_providers else ())
        for provider in providers
    }
    for kind, api in merge.API_OF_RESOURCE.items():
        ids = {references.nominal(entry["provider_id"]) for entry in draft.providers.get(api, ())}
        for entry in draft.resources.get(kind, ()):
            named = entry.get("provider_id")
            if isinstance(named, str) and references.nominal(named) not in ids | external:
                draft.findings.error(
                    f"spec.resources.{kind}", f'provider "{named}" of the API {api} does not exist'
                )


def _variables(spec: Spec, draft: Draft) -> None:
    """References that the server cannot expand."""
    variables = draft.variables
    for entry in _entries(draft):
        config = dict(entry.config)
        for key in _endpoint_keys(entry, spec):
            expandable(config.pop(key), f"{entry.path}.endpoint", variables, draft.findings)
        expandable(config, f"{entry.path}.settings", variables, draft.findings)
    own = _own_texts(spec, draft)
    for path, text in own.items():
        expandable(text, path, variables, draft.findings)
    names = set(own.values())
    rest = {key: value for key, value in draft.data.items() if key != "providers"}
    rest["registered_resources"] = [
        entry
        for found in draft.resources.values()
        for entry in found
        if not names & {entry.get(key) for key in ("model_id", "shield_id", "toolgroup_id")}
    ]
    expandable(rest, _BASE, variables, draft.findings)
    for api in sorted(set(draft.providers) - set(draft.entries)):
        expandable(draft.providers[api], _BASE, variables, draft.findings)


def _endpoint_keys(entry: ProviderEntry, spec: Spec) -> tuple[str, ...]:
    """The key of a provider's config that comes from its endpoint."""
    key = entry.kind.endpoint
    given = any(item.endpoint for item in spec.providers.all() if item.path == entry.path)
    return (key,) if given and key in entry.config else ()


def _own_texts(spec: Spec, draft: Draft) -> dict[str, str]:
    """Path → text of the user in what is registered."""
    resources = spec.resources
    found = {model.path: model.name for model in resources.models}
    found |= {f"{m.path}.quantization": m.quantization for m in resources.models if m.quantization}
    for kind, names in (("tools", resources.tools), ("shields", resources.shields)):
        found |= {f"spec.resources.{kind}[{index}]": name for index, name in enumerate(names)}
    for entry in _entries(draft):
        found |= {f"{entry.path}.settings": name for name in entry.models}
    return found


def expandable(value: Any, path: str, variables: Collection[str], findings: Findings) -> None:
    """Notes references in JSON data that the server cannot expand."""
    for inner, unreadable, required in _needs(value):
        where = path if path == _BASE or not inner else f"{path}.{inner}"
        if unreadable:
            findings.error(
                where,
                "has an environment reference that the server does not expand",
                "names of variables have capital letters, digits and underscores only",
            )
        for name in required:
            if name in variables:
                continue
            findings.error(
                where,
                f"needs the environment variable {name}, which nothing sets",
                "set it in spec.workload.overrides.env",
            )


def _needs_of(value: Any) -> tuple[tuple[str, bool, tuple[str, ...]], ...]:
    """Paths of texts with references, whether one cannot be read, and what must be set."""
    found = (
        (inner, references.unreadable(text), tuple(references.required(text)))
        for inner, text in references.marked(value)
    )
    return tuple(need for need in found if need[1] or need[2])


_needs = by_content(_needs_of)
"""Of a base's parts, which need nothing as a rule."""
