# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The pages about external providers: their examples are right, and messages are as in the code."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

import pytest

from api.external_apis import API_OF_SECTION
from api.validation import validate
from configs import yaml_reader
from configs.eras import ERAS, api_of
from configs.external import metadata, paths
from configs.external.entries import Entry
from configs.external.failures import Provider
from configs.external.merge import ExternalProvider, extra_providers
from configs.external.metadata import Metadata
from controller.llamastack.render import init_containers
from hack.root import ROOT

DOCS = ROOT / "docs"
PAGE = (DOCS / "external-providers.md").read_text("utf-8")
PAGES = {"external-providers": PAGE} | {
    name: (DOCS / f"{name}.md").read_text("utf-8") for name in ("provider-development",)
}
_BLOCK = re.compile(r"^```yaml(?: ([\w-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SOURCES = (
    *(ROOT / "configs" / "external").rglob("*.py"),
    ROOT / "configs" / "checks.py",
    ROOT / "configs" / "engine.py",
    ROOT / "configs" / "image_reference.py",
    ROOT / "api" / "model.py",
    ROOT / "api" / "unknown.py",
    ROOT / "api" / "v1alpha2" / "external.py",
    ROOT / "api" / "v1alpha2" / "messages.py",
    ROOT / "controller" / "llamastack" / "external_providers" / "progress.py",
    ROOT / "controller" / "llamastack" / "objects" / "installs.py",
    ROOT / "controller" / "llamastack" / "references" / "installable.py",
)
_NAMES = {
    "{_METADATA}": f"{paths.IMAGE_ROOT}/{paths.METADATA_FILE}",
    "{_PACKAGES}": f"{paths.IMAGE_ROOT}/packages",
    "{paths.METADATA_FILE}": paths.METADATA_FILE,
}


def _blocks(kind: str) -> list[str]:
    return [text for page in PAGES.values() for what, text in _BLOCK.findall(page) if what == kind]


@pytest.mark.parametrize("text", _blocks(""), ids=range(len(_blocks(""))))
def test_example_is_a_resource_that_is_valid(text: str) -> None:
    (resource,) = yaml_reader.load_all(text)

    judged = validate(resource)

    assert (judged.errors, judged.warnings) == ((), ())


@pytest.mark.parametrize("text", _blocks("metadata"), ids=range(len(_blocks("metadata"))))
def test_metadata_is_right(text: str) -> None:
    assert metadata.parse(text.encode()).warnings == ()


def test_extra_providers_are_as_the_merge_writes_them() -> None:
    (text,) = _blocks("extra-providers")
    (shown,) = yaml_reader.load_all(text)

    made = [
        ExternalProvider(
            Entry(Provider(each["provider_id"], "", ""), api, "", 0, each.get("config")),
            Metadata("", "", "", each["module"], each["provider_type"], api, "", (), ()),
        )
        for api, entries in shown["providers"].items()
        for each in entries
    ]

    assert extra_providers(made) == shown


def test_sections_stand_in_their_order_with_their_servers() -> None:
    table = PAGE[PAGE.index("## Order") : PAGE.index("## What an image holds")]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)`.* \| (.*) \|$", table, re.MULTILINE)

    assert [(section, api) for section, api, _ in rows] == list(API_OF_SECTION.items())
    shown = {"all": ERAS, "0.4 to 0.7": ERAS[:3], "0.4 to 0.6": ERAS[:2]}
    for section, _, servers in rows:
        assert shown[servers] == tuple(era for era in ERAS if api_of(section, era)), section


def test_every_key_of_the_metadata_has_a_row() -> None:
    table = PAGE[PAGE.index("| `apiVersion`") : PAGE.index("| anything else")]
    named = set(re.findall(r"`((?:metadata|spec)\.\w+|apiVersion|kind)`", table))

    known = {
        f"{section}.{key}" if section else key
        for section, keys in metadata._KNOWN.items()
        for key in keys
        if section or key not in metadata._KNOWN
    }

    assert named == known


def test_paths_in_a_pod_are_those_of_the_code() -> None:
    named = (
        paths.PACKAGES, paths.INSTALLED, paths.MERGED_CONFIG, paths.EXTRA_PROVIDERS,
        paths.MERGE_LOG, paths.BASE, paths.INPUT, f"{paths.TOOLS}/{paths.INSTALL_SCRIPT}",
        f"{paths.ROOT}/{paths.STAGED}/<providerId>/",
    )  # fmt: skip

    assert [path for path in named if f"`{path}`" not in PAGE] == []


def test_defaults_are_those_of_the_code() -> None:
    requests = init_containers._REQUESTS

    text = f"cpu {requests['cpu']} and memory {requests['memory']} requested"
    assert text in PAGE


# --- messages ---------------------------------------------------------------------------------


def _messages() -> Iterator[str]:
    """What is in code in a first column of the section of messages."""
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    section = text[text.index("## External providers") : text.index("### It is installed, and")]
    for row in re.findall(r"^\| (.*?) \| ", section, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", row)


_OF_OTHERS = {
    "BaseConfigRequired", "ValidationFailed", "merge-config", "PodInitializing", "unknown field",
    'Duplicate value: {"providerId":"…"}',
    os.strerror(errno.ENOSPC), f"{os.strerror(errno.EACCES)}: …",
}  # fmt: skip
_PUT_TOGETHER = re.compile(
    r"^Failed to (pull )?|^… is not | \(non-blocking\)$|(?<=^Native extension )\w+ mismatch$"
    r"|^must be (?=an image reference)|(?<=^has duplicates by )providerId: …$"
)
"""Parts of messages that the code adds to a text."""


def _source() -> str:
    """All texts of the code in one; what is put into them is ``…``, one after the other joined."""
    text = " ".join(path.read_text("utf-8") for path in _SOURCES)
    for name, value in _NAMES.items():
        text = text.replace(name, value)
    text = re.sub(r'"\s+f?"', "", text).replace("\\n", "\n")
    return re.sub(r"\{[^{}]*\}", "…", text)


def test_messages_that_are_explained_are_in_the_code() -> None:
    source = _source()
    found = [message for message in _messages() if message not in _OF_OTHERS]

    texts = [_PUT_TOGETHER.sub("", message) for message in found]
    fixed = [max(text.split("…"), key=len).strip(" :.()") for text in texts]

    assert len(found) > 50
    assert [text for text in fixed if text not in source] == []


def test_every_headline_is_explained() -> None:
    """Of the merge and of the installer: the texts that a failure begins with."""
    explained = " ".join(_messages())
    calls = (r'ProviderFailure\(\s*f?"([^"]+)"', r'InstallFailed\(\s*f?"([^"]+)"')
    source = " ".join(path.read_text("utf-8") for path in _SOURCES)
    for name, value in _NAMES.items():
        source = source.replace(name, value)
    headlines = [text for call in calls for text in re.findall(call, source)]

    fixed = [max(re.split(r"\{[^{}]*\}", text), key=len).strip(" ':.") for text in headlines]

    assert len(headlines) > 8
    assert [text for text in fixed if text not in explained] == []
