# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What an image says of its provider: what is taken, and every problem word for word."""

from __future__ import annotations

import pytest

from api.external_apis import API_OF_SECTION
from configs.external.metadata import MAX_BYTES, MAX_FILES, Metadata, MetadataError, parse

WHEEL = "packages/my_org_vllm-1.0.0-py3-none-any.whl"
GOOD = f"""\
apiVersion: llamastack.io/v1alpha1
kind: ProviderPackage
metadata:
  name: custom-vllm
  version: 1.0.0
  vendor: my-org
  description: vLLM for My Org
  maintainer: team@my-org.example
spec:
  packageName: my_org.vllm
  providerType: remote::custom-vllm
  api: inference
  wheelPath: /lls-provider/{WHEEL}
  dependencyWheels:
  - /lls-provider/packages/httpx-0.27.0-py3-none-any.whl
"""
PYTHON_NAME = " (must be a Python name such as my_org.echo)"
TYPE = " (must be remote::NAME or inline::NAME, and NAME in lower case)"
ONE_OF = (
    " (one of agents, datasetio, eval, inference, post_training, safety, scoring, tool_runtime, "
    "vector_io)"
)
FILES = (WHEEL, "packages/httpx-0.27.0-py3-none-any.whl", "lls-provider-spec.yaml")


def good(before: str = "", after: str = "") -> bytes:
    assert before in GOOD
    return GOOD.replace(before, after).encode() if before else GOOD.encode()


def problems(raw: bytes, **arguments: object) -> list[str]:
    with pytest.raises(MetadataError) as raised:
        parse(raw, files=FILES, **arguments)  # type: ignore[arg-type]
    wrapper = "metadata validation failed: "
    assert all(problem.startswith(wrapper) for problem in raised.value.problems)
    found = [problem.removeprefix(wrapper) for problem in raised.value.problems]
    assert raised.value.summary == found[0]
    return found


def test_all_fields_are_read() -> None:
    assert parse(good(), files=FILES) == Metadata(
        name="custom-vllm",
        version="1.0.0",
        vendor="my-org",
        module="my_org.vllm",
        provider_type="remote::custom-vllm",
        api="inference",
        wheel=WHEEL,
        dependency_wheels=("packages/httpx-0.27.0-py3-none-any.whl",),
        warnings=(),
    )


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (
            "llamastack.io/v1alpha1", "v2",
            "invalid apiVersion: expected llamastack.io/v1alpha1, got v2",
        ),
        (
            "apiVersion: llamastack.io/v1alpha1\n", "",
            "invalid apiVersion: expected llamastack.io/v1alpha1, got (none)",
        ),
        ("ProviderPackage", "Pod", "invalid kind: expected ProviderPackage, got Pod"),
        ("ProviderPackage", "[a]", "invalid kind: expected ProviderPackage, got (a list)"),
        ("  name: custom-vllm\n", "", "metadata.name is required"),
        ("name: custom-vllm", "name: ''", "metadata.name is required"),
        ("name: custom-vllm", "name: true", "metadata.name must be a string"),
        ("  version: 1.0.0\n", "", "metadata.version is required"),
        ("version: 1.0.0", "version:", "metadata.version is required"),
        ("  vendor: my-org\n", "", "metadata.vendor is required"),
        ("  packageName: my_org.vllm\n", "", "spec.packageName is required"),
        ("my_org.vllm", "my-org", f"invalid spec.packageName: my-org{PYTHON_NAME}"),
        ("my_org.vllm", "my_org.", f"invalid spec.packageName: my_org.{PYTHON_NAME}"),
        ("my_org.vllm", "1a", f"invalid spec.packageName: 1a{PYTHON_NAME}"),
        ("my_org.vllm", "ä", f"invalid spec.packageName: ä{PYTHON_NAME}"),
        ("my_org.vllm", '"os\\n"', f"invalid spec.packageName: os\\n{PYTHON_NAME}"),
        ("  providerType: remote::custom-vllm\n", "", "spec.providerType is required"),
        ("remote::custom-vllm", "custom", f"invalid spec.providerType: custom{TYPE}"),
        ("remote::custom-vllm", "remote::A", f"invalid spec.providerType: remote::A{TYPE}"),
        ("remote::custom-vllm", "xremote::a", f"invalid spec.providerType: xremote::a{TYPE}"),
        ("remote::custom-vllm", '"remote::a\\n"', f"invalid spec.providerType: remote::a\\n{TYPE}"),
        ("  api: inference\n", "", "spec.api is required"),
        ("api: inference", "api: vectorIo", "invalid spec.api: vectorIo (did you mean vector_io?)"),
        ("api: inference", "api: telemetry", f"invalid spec.api: telemetry{ONE_OF}"),
        (f"  wheelPath: /lls-provider/{WHEEL}\n", "", "spec.wheelPath is required"),
        (
            f"/lls-provider/{WHEEL}", "/lls-provider/packages/x.whl",
            "spec.wheelPath does not exist: /lls-provider/packages/x.whl",
        ),
        (
            f"/lls-provider/{WHEEL}", "/lls-provider/../etc/passwd",
            "spec.wheelPath must be below /lls-provider/: /lls-provider/../etc/passwd",
        ),
        (
            f"/lls-provider/{WHEEL}", "/lls-provider-x/a.whl",
            "spec.wheelPath must be below /lls-provider/: /lls-provider-x/a.whl",
        ),
        (f"/lls-provider/{WHEEL}", "/", "spec.wheelPath must be below /lls-provider/: /"),
        (
            "/lls-provider/packages/httpx-0.27.0-py3-none-any.whl", "../x.whl",
            "spec.dependencyWheels[0] must be below /lls-provider/: ../x.whl",
        ),
        (
            "/lls-provider/packages/httpx-0.27.0-py3-none-any.whl", "packages/h.whl",
            "spec.dependencyWheels[0] does not exist: packages/h.whl",
        ),
        (
            "- /lls-provider/packages/httpx-0.27.0-py3-none-any.whl", "- {}",
            "spec.dependencyWheels[0] must be a string",
        ),
        (
            "\n  - /lls-provider/packages/httpx-0.27.0-py3-none-any.whl", " a",
            "spec.dependencyWheels must be a list",
        ),
    ],
)  # fmt: skip
def test_each_rule_has_its_own_message(before: str, after: str, problem: str) -> None:
    assert problems(good(before, after)) == [problem]


def test_all_problems_are_found_at_once() -> None:
    assert problems(b"metadata: 1\nspec: {api: x}\n") == [
        "invalid apiVersion: expected llamastack.io/v1alpha1, got (none)",
        "invalid kind: expected ProviderPackage, got (none)",
        "metadata must be a mapping",
        "metadata.name is required",
        "metadata.version is required",
        "metadata.vendor is required",
        "spec.packageName is required",
        "spec.providerType is required",
        f"invalid spec.api: x{ONE_OF}",
        "spec.wheelPath is required",
    ]


@pytest.mark.parametrize("raw", [b"", b"- a", b"text"])
def test_of_what_is_no_mapping_nothing_else_is_said(raw: bytes) -> None:
    assert problems(raw) == ["the file must be a mapping"]


@pytest.mark.parametrize(
    "written", ["packages/my_org_vllm-2.0.0-py3-none-any.whl", "my_org_vllm-1.0.0-py3-none-any.whl"]
)
def test_wheel_of_another_version_or_place_is_named(written: str) -> None:
    assert problems(good(f"/lls-provider/{WHEEL}", written)) == [
        f"spec.wheelPath does not exist: {written} (the image has {WHEEL})"
    ]


@pytest.mark.parametrize("written", ["packagename", "package_name", "pakageName"])
def test_misspelt_key_is_named_where_the_right_one_is_missing(written: str) -> None:
    assert problems(good("packageName", written)) == [
        f"spec.packageName is required ({written} is not known)"
    ]


def test_key_that_looks_like_no_other_is_not_named() -> None:
    assert problems(good("packageName", '"x\\n"')) == ["spec.packageName is required"]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"a: 1\na: 2\n", "line 2, column 1: the key a is there twice"),
        (b"kind: &a [*a]\n", "line 1, column 11: &a contains itself"),
        (b"kind: !!python/name:os.system x\n", None),
        (b"a: [\n", None),
        (b"\xff", "the text is not UTF-8"),
        (
            b"#" * (MAX_BYTES + 1),
            f"the text is {MAX_BYTES + 1} bytes long, more than the {MAX_BYTES} allowed",
        ),
        (b"[" * 200, None),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_place(raw: bytes, problem: str | None) -> None:
    with pytest.raises(MetadataError) as raised:
        parse(raw)

    if problem is None:
        assert raised.value.summary.startswith("line 1, column") or "line 2" in raised.value.summary
    else:
        assert raised.value.summary == problem
    assert raised.value.problems == (f"failed to parse metadata YAML: {raised.value.summary}",)


def test_file_of_the_largest_size_is_read() -> None:
    padded = good() + b"#" * (MAX_BYTES - len(good()))

    assert parse(padded).name == "custom-vllm"


@pytest.mark.parametrize("written", ["1.10", "1", "0x10", "2024-01-01", "1:30"])
def test_version_is_the_text_that_stands_there(written: str) -> None:
    found = parse(good("1.0.0", written))

    assert found.version == written
    assert found.warnings == (f"metadata.version is no semantic version: {written}",)


@pytest.mark.parametrize("written", ["1.0.0-rc.1", "1.0.0+build.5", "10.20.30-a.b+c"])
def test_semantic_versions_are_not_warned_of(written: str) -> None:
    assert parse(good("1.0.0", written)).warnings == ()


def test_unknown_keys_are_warnings() -> None:
    raw = good("kind:", "a: 1\nkind:").replace(b"  vendor:", b"  b: 1\n  vendor:")
    raw = raw.replace(b"  api:", b'  "c\\n": 1\n  api:')

    assert parse(raw).warnings == (
        "unknown field a is ignored",
        "unknown field metadata.b is ignored",
        "unknown field spec.c\\n is ignored",
    )


@pytest.mark.parametrize("api", API_OF_SECTION.values())
def test_every_api_that_takes_images_is_taken(api: str) -> None:
    assert parse(good("api: inference", f"api: {api}")).api == api


def test_other_names_of_apis_are_taken_where_they_are_asked_for() -> None:
    raw = good("api: inference", "api: responses")

    assert problems(raw) == [f"invalid spec.api: responses{ONE_OF}"]
    assert parse(raw, apis={"responses"}).api == "responses"


@pytest.mark.parametrize("kind", ["remote", "inline"])
@pytest.mark.parametrize("name", ["sqlite_vec", "a", "0-b"])
def test_provider_types_of_real_providers_are_taken(kind: str, name: str) -> None:
    found = parse(good("remote::custom-vllm", f"{kind}::{name}"))

    assert found.provider_type == f"{kind}::{name}"


@pytest.mark.parametrize(
    "written", [WHEEL, f"./{WHEEL}", f"/lls-provider/x/../{WHEEL}", f"//lls-provider//{WHEEL}"]
)
def test_wheel_is_found_however_its_path_is_written(written: str) -> None:
    assert parse(good(f"/lls-provider/{WHEEL}", written), files=FILES).wheel == WHEEL


def test_list_of_files_that_may_be_cut_proves_nothing() -> None:
    full = [str(number) for number in range(MAX_FILES)]

    assert parse(good(), files=full).wheel == WHEEL
    assert parse(good(), files=None).wheel == WHEEL
    with pytest.raises(MetadataError, match=r"spec\.wheelPath does not exist"):
        parse(good(), files=full[1:])
