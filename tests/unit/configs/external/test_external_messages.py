# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Messages about external providers, word for word, and how the long ones are cut."""

from __future__ import annotations

import pytest

from configs.external import failures, messages
from configs.external.failures import Provider, ProviderFailure, one_line

ONE = Provider("custom-vllm", "example.com/vllm:v1", "install-provider-custom-vllm")
OTHER = Provider("shield", "example.com/shield:v2", "install-provider-shield")
TAIL = """\
Provider: custom-vllm
Image: example.com/vllm:v1
Init Container: install-provider-custom-vllm
"""
LONGEST = Provider("p" * 63, "i" * 1024, "c" * 63)


def test_missing_metadata() -> None:
    assert messages.missing_metadata(ONE).text() == (
        "ERROR: Missing /lls-provider/lls-provider-spec.yaml in image example.com/vllm:v1\n\n"
        f"{TAIL}\n"
        "Resolution: Add the file /lls-provider/lls-provider-spec.yaml to the provider image and "
        "push a new tag.\n"
    )


def test_invalid_metadata_says_every_problem() -> None:
    problems = ["metadata validation failed: a", "metadata validation failed: b"]

    assert messages.invalid_metadata(ONE, "a", problems).text() == (
        "ERROR: Invalid /lls-provider/lls-provider-spec.yaml in image example.com/vllm:v1: a\n\n"
        f"{TAIL}\n"
        "failed to load metadata for provider custom-vllm: metadata validation failed: a\n"
        "failed to load metadata for provider custom-vllm: metadata validation failed: b\n\n"
        "Resolution: Fix the metadata file as described in docs/external-providers.md and rebuild "
        "the provider image.\n"
    )


def test_unreadable_metadata() -> None:
    assert messages.unreadable_metadata(ONE, "it is a link").text() == (
        "ERROR: Invalid /lls-provider/lls-provider-spec.yaml in image example.com/vllm:v1: "
        "it is a link\n\n"
        f"{TAIL}\n"
        "failed to load metadata for provider custom-vllm: failed to read metadata file: "
        "it is a link\n\n"
        "Resolution: Fix the metadata file as described in docs/external-providers.md and rebuild "
        "the provider image.\n"
    )


def test_wrong_section_names_sections_as_the_resource_does() -> None:
    failure = messages.wrong_section(
        ONE, section="vectorIo", declared="tool_runtime", declared_section="toolRuntime"
    )

    assert failure.text() == (
        "ERROR: Provider API type mismatch\n\n"
        "Provider 'custom-vllm' (image: example.com/vllm:v1)\n"
        "declares api=tool_runtime in lls-provider-spec.yaml\n"
        "but is placed under externalProviders.vectorIo\n\n"
        f"{TAIL}\n"
        "Resolution: Move the provider to externalProviders.toolRuntime section in the LLSD spec.\n"
    )


def test_duplicate_names_both_places_and_images() -> None:
    first = Provider("custom-vllm", "example.com/first:v1", "install-provider-custom-vllm")

    assert messages.duplicate(first, "inference[0]", ONE, "vectorIo[1]").text() == (
        "ERROR: Duplicate provider_id 'custom-vllm' in externalProviders: "
        "found in inference[0] and vectorIo[1]\n\n"
        "  - externalProviders.inference[0] (image: example.com/first:v1)\n"
        "  - externalProviders.vectorIo[1] (image: example.com/vllm:v1)\n\n"
        f"{TAIL}\n"
        "Resolution: Give each external provider a unique providerId.\n"
    )


def test_conflict_lists_who_is_in_it() -> None:
    causes = ["a 1.0 depends on dep<2", "b 1.0 depends on dep>=2"]

    assert messages.conflict(ONE, causes, [OTHER, ONE]).text() == (
        "ERROR: Cannot install provider 'custom-vllm' due to dependency conflict\n\n"
        f"{TAIL}\n"
        "Pip installation failed with:\n"
        "a 1.0 depends on dep<2\n"
        "b 1.0 depends on dep>=2\n"
        "Conflicting providers:\n"
        "  - shield (example.com/shield:v2)\n"
        "  - custom-vllm (example.com/vllm:v1)\n\n"
        "Previously installed packages can be found in: "
        "/opt/llama-stack/external-providers/installed-packages.txt\n\n"
        "Resolution: Update provider images to use compatible dependency versions, or reorder "
        "providers in the CRD if one provider's dependencies are a superset of another's.\n"
    )


def test_conflict_of_files() -> None:
    cause = messages.other_content("my_org/__init__.py", OTHER)

    assert messages.conflict(ONE, [cause]).text() == (
        "ERROR: Cannot install provider 'custom-vllm' due to dependency conflict\n\n"
        f"{TAIL}\n"
        "Pip installation failed with:\n"
        "File 'my_org/__init__.py' was already installed with different content by provider "
        "'shield' (example.com/shield:v2)\n\n"
        "Previously installed packages can be found in: "
        "/opt/llama-stack/external-providers/installed-packages.txt\n\n"
        "Resolution: Update provider images to use compatible dependency versions, or reorder "
        "providers in the CRD if one provider's dependencies are a superset of another's.\n"
    )


def test_other_causes_of_conflicts() -> None:
    assert messages.other_files("a.py", "dep 1.0", OTHER) == (
        "File 'a.py' is not in both copies of dep 1.0, and provider 'shield' "
        "(example.com/shield:v2) brings one of them"
    )
    assert messages.file_and_directory("a", OTHER) == (
        "'a' is a file of one provider and a directory of another: provider 'shield' "
        "(example.com/shield:v2) installed the other"
    )


def test_package_of_the_server() -> None:
    assert messages.hides_server(ONE, "llama-stack").text() == (
        "ERROR: Cannot install provider 'custom-vllm': it would hide the server's own packages\n\n"
        f"{TAIL}\n"
        "llama-stack is a package of the server itself.\n\n"
        "Resolution: Leave the wheel out of /lls-provider/packages/ and rebuild the provider "
        "image. It need not be there: the server has the package, and dependencies are not "
        "resolved when providers are installed.\n"
    )


def test_unusable_staging() -> None:
    assert messages.unusable_staging(ONE, "a is a socket").text() == (
        "ERROR: Cannot use what provider 'custom-vllm' installed\n\n"
        f"{TAIL}\n"
        "a is a socket\n\n"
        "Resolution: Rebuild the provider image with wheels that hold regular files only, and "
        "nothing that changes the installed files.\n"
    )


def test_warnings_of_overrides_depend_on_who_wrote_the_base() -> None:
    assert messages.overridden("ollama", "inference", "remote::ollama", "remote::mine") == (
        "External provider 'ollama' overrides base provider in API 'inference'\n"
        "  Base type: remote::ollama\n"
        "  External type: remote::mine"
    )
    assert messages.overridden_in_config_map("ollama") == (
        "Provider ID 'ollama' in both ConfigMap and externalProviders. Using external provider."
    )


def test_lines_of_the_log() -> None:
    assert messages.api_added("p", "eval") == (
        "Added API 'eval' to apis list for external provider 'p'"
    )
    assert messages.provider_added("p", "eval", "remote::p", "my_p") == (
        "Added external provider 'p' to API 'eval' (type: remote::p, module: my_p)"
    )
    assert messages.unknown_api("p", "eval") == (
        "API 'eval' of external provider 'p' is neither in apis nor in providers of the base "
        "config. A server that does not know it does not start."
    )
    assert messages.metadata_warning(ONE, "w") == (
        "Provider 'custom-vllm' (image: example.com/vllm:v1): lls-provider-spec.yaml: w"
    )
    assert messages.module_left_out(ONE, "argparse") == (
        "Left out argparse of external provider 'custom-vllm': it would run instead of a "
        "module of Python itself, or at the start of every Python"
    )
    assert messages.version_left_out(ONE, "dep 2.0", "1.0", OTHER) == (
        "Left out dep 2.0 of external provider 'custom-vllm': version 1.0 of 'shield' is installed"
    )


def test_step_that_nobody_is_to_blame_for_says_what_to_do() -> None:
    assert messages.step_failed(messages.PARSE_BASE, "line 1, column 2: no") == (
        "ERROR: Failed to parse base run.yaml: line 1, column 2: no\n\n"
        "Resolution: Correct the config.yaml of the ConfigMap that spec.overrideConfig names; a "
        "generated one is a bug of the operator, please report it.\n"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\nERROR: b", "a\\nERROR: b"),
        ("\x1b[31mred\u2028", "\\x1b[31mred\\u2028"),
        ("a\udcff", "a\\udcff"),
        ("x" * 201, "x" * 197 + "..."),
        ("x" * 200, "x" * 200),
        (None, "(none)"),
        (True, "true"),
        ({"a": "secret"}, "(a mapping)"),
        (["secret"], "(a list)"),
        (7, "7"),
    ],
)
def test_value_of_a_stranger_is_one_line_of_bounded_length(value: object, shown: str) -> None:
    assert one_line(value) == shown


def test_long_message_loses_the_middle_of_its_details_only() -> None:
    lines = tuple(f"line {number} " + "ä" * 40 for number in range(200))
    failure = ProviderFailure("Headline", ONE, "Do this.", statement=("said",), details=lines)

    text = failure.text()

    assert len(text.encode()) <= failures.MOST
    assert len(text.encode()) > failures.MOST - 400
    assert text.startswith(f"ERROR: Headline\n\nsaid\n\n{TAIL}\n{lines[0]}\n{lines[1]}\n")
    assert text.endswith(f"{lines[-2]}\n{lines[-1]}\n\nResolution: Do this.\n")
    assert text.count("[...]") == 1
    assert failure.text(100_000).count("line ") == 200


def test_details_go_altogether_where_there_is_no_room() -> None:
    failure = ProviderFailure("Headline", ONE, "Do this.", details=("x" * 5000,))
    head = f"ERROR: Headline\n\n{TAIL}\n"

    assert failure.text() == f"{head}[...]\n\nResolution: Do this.\n"
    assert failure.text(10) == f"{head}Resolution: Do this.\n"


def test_message_of_the_longest_names_keeps_the_resolution() -> None:
    found = [
        messages.missing_metadata(LONGEST),
        messages.invalid_metadata(LONGEST, "x" * 300, ["x" * 300] * 50),
        messages.wrong_section(
            LONGEST, section="postTraining", declared="x", declared_section="toolRuntime"
        ),
        messages.duplicate(LONGEST, "postTraining[10]", LONGEST, "toolRuntime[10]"),
        messages.conflict(LONGEST, ["x" * 200] * 30, [LONGEST] * 10),
        messages.hides_server(LONGEST, "x" * 300),
        messages.unusable_staging(LONGEST, "x" * 300),
    ]

    for failure in found:
        text = failure.text()
        assert len(text.encode()) <= failures.MOST
        assert "\n".join(LONGEST.lines) in text
        assert text.endswith(f"Resolution: {failure.resolution}\n")
