# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A user's own config.yaml, which runs as it is (``overrideConfig``).

It is looked at and never changed. Refused is only what no server can start on: a text that is no
YAML, no config at all, or of a version that no supported server reads (FR-029). All else is the
user's own business; where the config is visibly one of another server than the image has (R-D5a),
that is said, and no more: the shape of a config is evidence, not proof.

What is found depends on the text alone, so it is found once per text and kept instead of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.errors import FieldError
from api.v1alpha2 import Reason
from configs import detection, scalars, yaml_reader
from configs.base import SUPPORTED_VERSIONS, shown_version, version_of
from configs.eras import Era
from configs.errors import ConfigError
from configs.spelling import Spelling, spelling_of

PATH: Final = "spec.overrideConfig.configMapName"

_SHOWN: Final = 3
"""Marks of an old config that a message shows."""

_COPY: Final = "start from the config of the image, or from `python -m llamastack_operator render`"


@dataclass(frozen=True, slots=True)
class Examined:
    """What a config.yaml of a user is.

    Attributes:
        digest: full sha256 of the text, in hex.
        version: its ``version``; None without a usable one.
        eras: that it fits best, the likeliest first; empty if it is no config.
        marks: what shows that it is of a server before 0.4, in words.
        reason: why no server can start on it; None if one may.
        problem: the same in words.
        hint: what to do about it.
        tls: whether it names a certificate to serve HTTPS with.
        spelling: what it calls the API of agents; None if it is no config.
    """

    digest: str
    version: int | None = None
    eras: tuple[Era, ...] = ()
    marks: tuple[str, ...] = ()
    reason: Reason | None = None
    problem: str = ""
    hint: str = ""
    tls: bool = False
    spelling: Spelling | None = None


def examine(raw: bytes) -> Examined:
    """Looks at a text; whatever is wrong with it is part of the answer."""
    digest = hashlib.sha256(raw).hexdigest()
    if len(raw) > yaml_reader.MAX_BYTES:
        text = f"config.yaml has {len(raw)} bytes, and {yaml_reader.MAX_BYTES} are read"
        return _refused(digest, text, "leave out what is not configuration")
    try:
        data = yaml_reader.load(raw, resolve=scalars.resolve_as_server)
    except yaml_reader.YamlError as error:
        return _refused(digest, f"config.yaml cannot be read: {error}", "mend that line")
    if not isinstance(data, dict):
        return _refused(digest, "config.yaml is not a mapping", _COPY)
    version = version_of(data)
    if version not in SUPPORTED_VERSIONS:
        supported = ", ".join(map(str, SUPPORTED_VERSIONS))
        shown = shown_version(data)
        return Examined(
            digest,
            reason=Reason.UNSUPPORTED_CONFIG_VERSION,
            problem=f"Unsupported config.yaml version {shown}. Supported versions: {supported}",
            hint=f"set `version: {SUPPORTED_VERSIONS[-1]}` if the rest is of such a server",
        )
    if not isinstance(data.get("providers"), dict):
        return _refused(digest, "config.yaml has no mapping `providers`", _COPY)
    eras, marks = detection.candidates(data), detection.outdated(data)
    return Examined(
        digest,
        version=version,
        eras=eras,
        marks=marks,
        tls=_names_certificate(data),
        spelling=spelling_of(detection.apis(data), () if marks else eras),
    )


def check(examined: Examined, era: Era | None, *, https: bool = False) -> tuple[Era | None, str]:
    """What a config means for a resource: its era, and what its author should know.

    Args:
        examined: the config.
        era: of the image's server; None for an image that nothing is known about.
        https: whether the pod is probed, and asked by clients, over HTTPS.

    Raises:
        ConfigError: the server cannot start on it.
    """
    if examined.reason is not None:
        error = FieldError(PATH, examined.problem, examined.hint)
        raise ConfigError(examined.reason, (error,))
    if examined.marks and era is not None:
        shown = "; ".join(examined.marks[:_SHOWN])
        if len(examined.marks) > _SHOWN:
            shown += "; …"
        message = f"config.yaml is of a server before 0.4, and the image's is {era}: it has {shown}"
        error = FieldError(PATH, message, _COPY)
        raise ConfigError(Reason.UNSUPPORTED_CONFIG_VERSION, (error,))
    notes = []
    if era is not None and era not in examined.eras:
        notes.append(
            f"It looks like one for servers of {examined.eras[0]}, and the image's is {era}: if "
            "it does not start, start from the config of the image"
        )
    if https and not examined.tls:
        notes.append(
            "It has no server.tls_certfile, and spec.networking.tls wants HTTPS: the probes will "
            "fail unless the server gets its certificate in another way"
        )
    fits = era if era in examined.eras else None if examined.marks else examined.eras[0]
    return fits, ". ".join(notes)


def _refused(digest: str, problem: str, hint: str) -> Examined:
    reason = Reason.CONFIG_GENERATION_FAILED
    return Examined(digest, reason=reason, problem=problem, hint=hint)


def _names_certificate(data: Mapping[str, Any]) -> bool:
    server = data.get("server")
    if not isinstance(server, dict):
        return False
    nested = server.get("tls_config")
    return bool(server.get("tls_certfile") or (isinstance(nested, dict) and nested))
