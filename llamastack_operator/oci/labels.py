# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Labels of an image that hold its base config, or lead to it (FR-027f, FR-027g). No I/O.

=====================================  =======================================================
``io.llamastack.config.base64``        the config.yaml itself, base64; for small ones
``io.llamastack.config.layer``         digest of the layer that holds it, as the manifest or
                                       as the image config (diff ID) spells it, with
``io.llamastack.config.path``          its path in that layer
``io.llamastack.config.version``       its ``version``, checked before anything is fetched
``io.llamastack.config.era``           its era, for a config whose shape does not tell
=====================================  =======================================================

An image with both forms is a mistake: nobody can say which one its makers meant.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from api.v1alpha2 import ConfigSource
from api.v1alpha2.reasons import Reason
from configs.base import SUPPORTED_VERSIONS, BaseConfig, read_base
from configs.eras import ERAS, Era
from configs.errors import ConfigError
from llamastack_operator.oci.errors import BadLabel
from llamastack_operator.oci.manifests import Descriptor, ImageConfig, Manifest
from llamastack_operator.oci.reference import is_digest

PREFIX: Final = "io.llamastack.config."
BASE64: Final = f"{PREFIX}base64"
LAYER: Final = f"{PREFIX}layer"
PATH: Final = f"{PREFIX}path"
VERSION: Final = f"{PREFIX}version"
ERA: Final = f"{PREFIX}era"

MAX_BASE64: Final = 50 * 1024
"""Characters of the base64 label (FR-027f); registries and runtimes get slow with larger ones."""

MAX_CONFIG: Final = 128 * 1024
"""Bytes of a config.yaml out of a layer, for the sake of memory: read, they take up to thirty times
as much, and many images are read at a time. The largest upstream one has 12 KiB."""

_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Labels:
    """What the labels say.

    Attributes:
        text: the config, or None if it is in a layer.
        layer: digest of the layer; empty with a text.
        path: in the layer, without a leading slash; empty with a text.
        version: that the config must have; None if the labels do not say.
        era: of the config; None to tell it by its shape.
    """

    text: bytes | None = None
    layer: str = ""
    path: str = ""
    version: int | None = None
    era: Era | None = None


def read(labels: Mapping[str, str]) -> Labels | None:
    """Reads the labels; None if there is no config in them.

    Raises:
        BadLabel: they cannot be used.
    """
    inline, layer, path = (labels.get(name, "") for name in (BASE64, LAYER, PATH))
    if not inline and not layer and not path:
        return None
    if inline and (layer or path):
        raise BadLabel(f"the image has both {BASE64} and {LAYER if layer else PATH}; keep one form")
    version, era = _version(labels.get(VERSION)), _era(labels.get(ERA))
    if inline:
        return Labels(text=_decode(inline), version=version, era=era)
    if not layer or not path:
        missing, there = (LAYER, PATH) if path else (PATH, LAYER)
        raise BadLabel(f"the image has {there} but not {missing}; they belong together")
    if not is_digest(layer):
        raise BadLabel(f"label {LAYER} is no digest: {_shown(layer)}")
    return Labels(layer=layer, path=_path(path), version=version, era=era)


def find_layer(labels: Labels, manifest: Manifest, config: ImageConfig) -> Descriptor:
    """The layer that the labels mean, which must be one of the image's own.

    Raises:
        BadLabel: it is not.
    """
    for layer in manifest.layers:
        if layer.digest == labels.layer:
            return layer
    if len(manifest.layers) == len(config.diff_ids):
        for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
            if diff_id == labels.layer:
                return layer
    raise BadLabel(f"label {LAYER} names {labels.layer}, which is no layer of the image")


def read_config(text: bytes, labels: Labels) -> BaseConfig:
    """The base config behind the labels. A fifth of a second for the largest at the worst.

    Raises:
        BadLabel: it is no config, or another one than the labels say.
    """
    try:
        base = read_base(text, source=ConfigSource.OCI_LABEL, era=labels.era)
    except ConfigError as error:
        found = "; ".join(str(problem.message) for problem in error.errors)
        raise BadLabel(
            f"the config in the image's labels is unusable: {found}", reason=error.reason
        ) from error
    if labels.version not in {None, base.version}:
        raise BadLabel(f"label {VERSION} says {labels.version}, but the config is {base.version}")
    return base


def _decode(text: str) -> bytes:
    if len(text) > MAX_BASE64:
        raise BadLabel(
            f"label {BASE64} is {len(text)} characters long, more than the {MAX_BASE64} allowed; "
            f"put the config into a layer and use {LAYER} and {PATH}"
        )
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadLabel(f"label {BASE64} is not base64") from None


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    found = next((version for version in SUPPORTED_VERSIONS if text == str(version)), None)
    if found is not None:
        return found
    supported = ", ".join(map(str, SUPPORTED_VERSIONS))
    raise BadLabel(
        f"Unsupported config.yaml version {_shown(text)}. Supported versions: {supported}",
        reason=Reason.UNSUPPORTED_CONFIG_VERSION,
    )


def _era(text: str | None) -> Era | None:
    if text is None:
        return None
    if text not in ERAS:
        raise BadLabel(f"label {ERA} is {_shown(text)}; it can be {', '.join(ERAS)}")
    return text


def _path(path: str) -> str:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if not parts or ".." in parts:
        raise BadLabel(f"label {PATH} is no path of a file: {_shown(path)}")
    return "/".join(parts)


def _shown(text: str) -> str:
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return short if short.isprintable() else repr(short)
