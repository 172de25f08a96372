# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``spec.providers``: typed vendors become entries of the lists of v1alpha2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic.alias_generators import to_snake

from api.conversion.ogx.part import Part
from api.conversion.ogx.settings import settings
from api.conversion.ogx.vendors import CUSTOM, SECTIONS, VENDORS, Vendor, unknown
from api.conversion.places import ABSENT
from api.model import Json, kind_of

KINDS: Final = ("remote", "inline")

UNKNOWN_VENDOR: Final = "is not known here; it is written as the type {type}"
NO_PROVIDER: Final = "must be an object, got {kind}, so no provider is made of it"


def convert(providers: Part) -> Json:
    """The sections that have providers."""
    result: Json = {}
    for api, section in SECTIONS.items():
        if entries := list(_entries(api, providers.part(api))):
            result[section] = entries
    return result


def _entries(api: str, section: Part) -> Iterator[Json]:
    """The providers of an API, in the order in which the other operator has them."""
    for kind in KINDS:
        vendors = section.part(kind)
        known = [vendor for an_api, a_kind, vendor in VENDORS if (an_api, a_kind) == (api, kind)]
        others = [name for name in vendors.names() if name not in {*known, CUSTOM}]
        for name in (*known, *others, CUSTOM):
            is_known = name in known
            vendor = VENDORS[api, kind, name] if is_known else unknown(kind, name)
            if name in others:
                message = UNKNOWN_VENDOR.format(type=vendor.provider)
                vendors.warn(name, message, "check that the server has it, and knows its settings")
            for item, path in vendors.items(name):
                if not isinstance(item, Mapping):
                    vendors.say(path, NO_PROVIDER.format(kind=kind_of(item)))
                    continue
                entry = vendors.inner(item, path)
                if name == CUSTOM:
                    yield _custom(entry)
                else:
                    yield _typed(entry, kind, vendor, is_known=is_known)
                entry.finish()


def _typed(entry: Part, kind: str, vendor: Vendor, *, is_known: bool) -> Json:
    given_id = entry.take("id")
    suffix = vendor.suffix or vendor.provider
    result: Json = {
        "id": f"{kind}-{suffix}" if given_id in (ABSENT, "") else given_id,
        "provider": vendor.provider,
    }
    if vendor.endpoint and (endpoint := entry.take(vendor.endpoint)) is not ABSENT:
        result["endpoint"] = endpoint
    if vendor.key and (key := entry.take(vendor.key)) is not ABSENT:
        result["apiKey"] = secret(key)
    if references := _references(entry, vendor if is_known else None):
        result["secretRefs"] = references
    if rest := settings(_renamed(entry.taken(entry.names()), vendor.renamed)):
        result["settings"] = rest
    return result


def _references(entry: Part, vendor: Vendor | None) -> Json:
    """Configuration fields that are kept in Secrets; of a vendor that came later, by their form."""
    if vendor is not None:
        fields = vendor.secrets
    else:
        fields = {name: to_snake(name) for name in entry.names() if is_reference(entry.peek(name))}
    found = ((field, entry.take(name)) for name, field in fields.items())
    return {field: secret(value) for field, value in found if value is not ABSENT}


def _renamed(fields: Json, names: Mapping[str, str]) -> Json:
    """Fields with other names, unless there is one of that name already."""
    return {
        names[name] if name in names and names[name] not in fields else name: value
        for name, value in fields.items()
    }


def _custom(entry: Part) -> Json:
    given_id, kind = entry.take("id"), entry.take("type")
    result: Json = {}
    if given_id not in (ABSENT, ""):
        result["id"] = given_id
    elif isinstance(kind, str):
        result["id"] = kind.replace("::", "-")
    if kind is not ABSENT:
        result["provider"] = kind
    references = entry.part("secretRefs")
    if found := {name: secret(references.take(name)) for name in references.names()}:
        result["secretRefs"] = found
    if (own := entry.take("settings")) is not ABSENT:
        result["settings"] = own
    return result


def is_reference(value: Any) -> bool:
    """Whether a value names a key of a Secret."""
    return isinstance(value, Mapping) and value.keys() == {"name", "key"}


def secret(reference: Any) -> Any:
    """A reference to a key of a Secret; what is none stays, for validation to refuse."""
    return {"secretKeyRef": reference} if isinstance(reference, Mapping) else reference
