# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a provider's config keys are for: which takes the endpoint, which the credential.

The server has no mark for it, but its authors have habits, which are the rules below. A rule that
guessed wrong would send a credential into a key that nobody reads, and the server would not say a
word; so where the rules do not see one clear answer, they refuse, and somebody reads the provider's
code and adds a line to ``JUDGED``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

Json = dict[str, Any]
Type = tuple[str, str]
"""API and provider type."""

_ENDPOINTS: Final = ("base_url", "url", "uri")
"""Keys that are the endpoint where there are several that could be, best first."""

_SECRETS: Final = ("api_key", "api_token", "access_token", "token", "password")
"""Likewise the credential."""

_INHERITED: Final = "auth_credential"
"""What the servers call the credential inside, in the class that their inference providers share.
Where a provider shows it under this name, it gave it no public one, and sends another credential or
none (ollama and tgi: "NO KEY REQUIRED"; vertexai up to 0.5: what Google's library finds)."""

JUDGED: Final[Mapping[Type, Mapping[str, str | None]]] = {
    # Not URLs: the engine takes them out of one (configs.endpoints), or passes them on.
    ("vector_io", "remote::pgvector"): {"endpoint": "host"},
    ("vector_io", "remote::oci"): {"endpoint": "conn_str"},
    # Inherited and never read: OCI signs requests (oci.py, get_api_key).
    ("inference", "remote::oci"): {"secret": None},
    # A pair of keys, which no single credential is: users name both in secretRefs.
    ("files", "remote::s3"): {"secret": None},
    ("safety", "remote::bedrock"): {"secret": None},
}
"""What no rule can know, found in the provider's code."""

REQUIRED: Final[Mapping[Type, tuple[str, ...]]] = {
    # "You must provide a URL in config.yaml": both end there at boot.
    ("inference", "remote::vllm"): ("base_url",),
    ("inference", "remote::tgi"): ("base_url",),
    # The default is the server's own host, where a pod has no database: it does not boot.
    ("vector_io", "remote::pgvector"): ("host",),
    # Boots, and then IBM refuses every request: each carries the project.
    ("inference", "remote::watsonx"): ("project_id",),
}
"""Keys that the config class does not demand, and without which the provider does not work."""


class Undecided(Exception):
    """The rules see no clear answer for a provider; somebody has to read its code."""


def entry(api: str, name: str, facts: Json, served: Iterable[str]) -> Json:
    """A provider type as the catalogue has it, with nothing left out.

    Args:
        api: its API.
        name: its full type.
        facts: what the dump says of it.
        served: the APIs of the release that have providers. The others that a provider may need
            (models, prompts, …) are the server's own and always there.

    Raises:
        Undecided: see above.
    """
    fields: Json = facts["fields"]
    endpoint = _judged(api, name, "endpoint", fields) or _endpoint(name, fields)
    demanded = {key for key, field in fields.items() if field["required"]}
    empty = {key for key in demanded if "None" in fields[key]["types"] and key != endpoint}
    return {
        "endpoint": endpoint,
        "secret": _secret(api, name, fields),
        "required": sorted({*demanded, *_further(api, name, fields)}),
        "null": sorted(empty),  # of the required ones: they must be there, but null will do
        "needs": sorted({*facts["needs"]} & {*served}),
        "keys": sorted({*fields, *facts["names"]}),
        "unknown": facts["unknown"],
        "deprecated": facts["deprecated"],
    }


def _judged(api: str, name: str, what: str, fields: Json) -> str | None:
    key = JUDGED.get((api, name), {}).get(what)
    if key is not None and key not in fields:
        raise Undecided(f"{api} {name} has no key {key}, which JUDGED calls its {what}")
    return key


def _further(api: str, name: str, fields: Json) -> tuple[str, ...]:
    keys = REQUIRED.get((api, name), ())
    if missing := set(keys) - set(fields):
        raise Undecided(f"{api} {name} has no key {', '.join(sorted(missing))}, see REQUIRED")
    return keys


def _endpoint(name: str, fields: Json) -> str | None:
    """The one key that is an address; what runs inside the server has none."""
    if not name.startswith("remote::"):
        return None
    candidates = [key for key, field in fields.items() if _is_address(key, field["types"])]
    return _one(name, "endpoint", _ENDPOINTS, candidates)


def _is_address(key: str, types: list[str]) -> bool:
    spelled = key in {"url", "uri", "host", "endpoint"} or key.endswith(("_url", "_uri", "_host"))
    return "HttpUrl" in types or ("str" in types and spelled)


def _secret(api: str, name: str, fields: Json) -> str | None:
    """The one key that is a credential."""
    if "secret" in JUDGED.get((api, name), {}):
        return _judged(api, name, "secret", fields)
    candidates = [key for key, field in fields.items() if _is_secret(key, field["types"])]
    # Providers that take an API key of a kind or Amazon's own credentials: the latter are several.
    single = [key for key in candidates if key.endswith(("_api_key", "_bearer_token"))]
    preferred = (*_SECRETS, *(single if len(single) == 1 else ()))
    return _one(name, "secret", preferred, candidates)


def _is_secret(key: str, types: list[str]) -> bool:
    spelled = key in _SECRETS or key.endswith(("_api_key", "_token", "_password", "_secret_key"))
    return key != _INHERITED and ("SecretStr" in types or ("str" in types and spelled))


def _one(name: str, what: str, preferred: Iterable[str], candidates: list[str]) -> str | None:
    for key in preferred:
        if key in candidates:
            return key
    if len(candidates) > 1 or (candidates and what == "secret"):
        raise Undecided(f"{name}: which key is the {what}? {', '.join(candidates)}: add to JUDGED")
    return candidates[0] if candidates else None
