# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What is found of an image, and of several in one server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.external_apis import API_OF_SECTION
from configs import eras
from configs.external.offline import check as checks
from configs.external.offline import wheels
from configs.external.offline.check import RENAMED_APIS, Asked, Checked, check
from configs.external.offline.target import Target
from configs.external.offline.together import check_together
from tests.support.provider_check import (
    HERE,
    MemoryFiles,
    checked,
    files_of,
    headlines,
    reasons,
)
from tests.support.provider_wheels import (
    ProviderImage,
    Wheel,
    echo_wheel,
    elf,
    image,
    machine_number,
    with_native,
)

CANNOT = "Cannot install provider 'echo-provider'"
ANYWHERE = Target("3.12")


def provider(name: str, *more: Wheel, files: dict[str, str] | None = None) -> ProviderImage:
    """A provider of a name, in a package of that name."""
    package = name.replace("-", "_")
    own = Wheel(name, files={f"{package}/provider.py": "", **(files or {})})
    return ProviderImage((own, *more), package=package)


def alone(made: ProviderImage, name: str = "example.com/p:v1", target: Target = HERE) -> Checked:
    return check(MemoryFiles(files_of(made)), Asked(name), target)


def together(*images: ProviderImage) -> list[Checked]:
    return check_together(
        [alone(one, f"example.com/{number}") for number, one in enumerate(images)]
    )


# --- one image -----------------------------------------------------------------------------------


def test_good_image() -> None:
    found = checked(image("good"))

    assert (found.failures, found.warnings, found.notes) == ((), (), ())
    assert found.provider.lines == (
        "Provider: echo-provider",
        "Image: example.com/p:v1",
        "Init Container: install-provider-echo-provider",
    )
    assert found.wheels == (echo_wheel().filename,)
    assert found.described
    assert found.described.module == "echo_provider"


def test_id_of_the_resource_is_used() -> None:
    found = checked(image("missing-packages"), provider_id="my-echo")

    assert found.failures[0].provider.provider_id == "my-echo"
    assert found.failures[0].provider.init_container == "install-provider-my-echo"


@pytest.mark.parametrize(
    ("path", "own"),
    [("/x/My Image.tar", "my-image-tar"), (".", "provider"), ("/", "provider"), ("é", "provider")],
)
def test_without_metadata_the_path_gives_the_id(path: str, own: str) -> None:
    assert alone(image("missing-metadata"), path).provider.provider_id == own


def test_everything_is_told_at_once() -> None:
    """Each mistake would end a program in a pod, so that the next one shows a pod later."""
    made = replace(
        image("good"),
        metadata=image("good").metadata_text.replace("inference", "telemetry"),
        wheels=(echo_wheel(), Wheel("llama-stack"), Wheel("llama-stack-client")),
        files={
            "packages/broken-1.0-py3-none-any.whl": b"",
            "packages/dep.whl": b"",
            "packages/old-1.0-cp27-none-any.whl": Wheel("old", "1.0").build(),
        },
    )

    found = checked(made)

    assert headlines(found) == [
        "Invalid /lls-provider/lls-provider-spec.yaml in image example.com/p:v1: "
        "invalid spec.api: telemetry (one of agents, datasetio, eval, inference, post_training, "
        "safety, scoring, tool_runtime, vector_io)",
        *(f"Cannot install provider '{found.provider.provider_id}'",) * 3,
        *(f"Cannot install provider '{found.provider.provider_id}': it would hide the server's own "
          "packages",) * 2,
    ]  # fmt: skip
    assert [reason.partition(" ")[0] for reason in reasons(found)] == ["Wheel", "dep.whl", "Wheel"]


def test_what_is_no_image_of_a_provider_is_noted() -> None:
    asked = Asked("p.tar", search_path=("/usr/bin",))

    found = check(MemoryFiles({"lls-provider-spec.yaml": b"", "packages/a.whl": b""}), asked, HERE)

    assert len(found.failures) == 2
    assert found.notes == (
        "'p-tar': there is no /lls-provider in p.tar. An archive has to be of a whole image; a "
        "directory may be the root of one, or what it has there",
    )


def test_missing_wheels_are_told_once() -> None:
    for case in ("missing-packages", "empty-packages"):
        assert len(checked(image(case)).failures) == 1


def test_wheel_that_cannot_be_read_says_nothing_of_modules() -> None:
    good = image("good")
    made = replace(good, wheels=(), files={f"packages/{echo_wheel().filename}": b"broken"})

    found = checked(replace(made, metadata=good.metadata_text))

    assert reasons(found) == [
        f"Wheel {echo_wheel().filename} is invalid: File is not a zip file",
    ]


def test_warnings_of_the_metadata() -> None:
    text = image("good").metadata_text.replace("1.0.0, vendor", "one, vendor")
    found = checked(replace(image("good"), metadata=f"{text}other: 1\n"))

    start = "Provider 'echo-provider' (image: example.com/p:v1): lls-provider-spec.yaml: "
    assert found.warnings == (
        f"{start}metadata.version is no semantic version: one",
        f"{start}unknown field other is ignored",
    )
    assert found.failures == ()


@pytest.mark.parametrize(("api", "section"), [("safety", "inference"), ("responses", "safety")])
def test_wrong_section(api: str, section: str) -> None:
    found = checked(replace(image("good"), api=api), section=section)

    assert headlines(found) == ["Provider API type mismatch"]
    assert found.failures[0].statement[2] == f"but is placed under externalProviders.{section}"
    right = "agents" if api == "responses" else api
    assert f"externalProviders.{right} section" in found.failures[0].resolution


@pytest.mark.parametrize("section", API_OF_SECTION)
def test_right_section(section: str) -> None:
    names = [API_OF_SECTION[section]]  # type: ignore[index]
    names += [api for api, of in RENAMED_APIS.items() if of == section]

    for api in names:
        found = checked(replace(image("good"), api=api), section=section)
        assert found.failures == ()
        assert len(found.notes) == (api in RENAMED_APIS)


def test_renamed_apis_are_those_of_the_eras() -> None:
    names = {eras.api_of(section, era): section for section in API_OF_SECTION for era in eras.ERAS}

    own = set(API_OF_SECTION.values())
    assert {a: section for a, section in names.items() if a and a not in own} == RENAMED_APIS


@pytest.mark.parametrize(
    ("closed", "said"),
    [
        ("lls-provider", "/lls-provider"),
        ("lls-provider/lls-provider-spec.yaml", "/lls-provider/lls-provider-spec.yaml"),
        ("lls-provider/packages", "/lls-provider/packages"),
        (f"lls-provider/packages/{echo_wheel().filename}",
         f"/lls-provider/packages/{echo_wheel().filename}"),
    ],
)  # fmt: skip
def test_what_only_some_may_read(closed: str, said: str) -> None:
    contents = MemoryFiles(files_of(image("good")), modes={closed: 0o700})

    found = check(contents, Asked("p"), HERE)

    assert reasons(found) == [f"Permission denied: {said}"]
    assert found.installed is None


def test_packages_that_cannot_be_listed() -> None:
    contents = MemoryFiles(files_of(image("good")), modes={"lls-provider/packages": 0o751})

    assert reasons(check(contents, Asked("p"), HERE)) == [
        "Permission denied: /lls-provider/packages"
    ]


def test_packages_that_cannot_be_entered() -> None:
    contents = MemoryFiles(files_of(image("good")), modes={"lls-provider/packages": 0o754})

    assert reasons(check(contents, Asked("p"), HERE)) == [
        "Permission denied: /lls-provider/packages"
    ]


def test_texts_of_strangers_are_short_and_in_their_line() -> None:
    long = "a" * 5000
    made = image("good")
    named = replace(
        made,
        metadata=made.metadata_text.replace("packageName: echo_provider", f"packageName: {long}"),
    )
    odd = replace(made, wheels=(echo_wheel(), Pinned("odd")))

    for found in (checked(named), checked(odd)):
        (failure,) = found.failures
        assert all(len(line) < 2500 and line.isprintable() for line in failure.text().split("\n"))


class Pinned(Wheel):
    """A wheel for a Python whose version would paint a terminal."""

    def content(self) -> dict[str, bytes]:
        files = super().content()
        path = next(path for path in files if path.endswith("/METADATA"))
        return {**files, path: files[path] + b"Requires-Python: ===\x1b[31m\n"}


def test_image_that_can_run_the_installer() -> None:
    python = {"usr/bin/python3": b"", "usr/lib/python3/site-packages/pip/__init__.py": b""}
    asked = Asked("p", search_path=("/usr/bin",))

    whole = check(MemoryFiles({**files_of(image("good")), **python}), asked, HERE)
    bare = check(MemoryFiles(files_of(image("good"))), asked, HERE)

    assert whole.notes == ()
    assert bare.notes == (
        "'echo-provider': the image has no python3, so it can only be delivered by image volumes "
        "(--external-provider-delivery)",
    )


# --- wheels --------------------------------------------------------------------------------------


def native(tag: str, machine: str = "x86_64", name: str = "n.so") -> ProviderImage:
    return provider("p", Wheel("dep", files={f"dep/{name}": elf(machine_number(machine))}, tag=tag))


def test_native_wheel_that_fits() -> None:
    found = checked(native("cp312-cp312-manylinux_2_28_x86_64"))

    assert (found.failures, found.notes) == ((), ())


def test_native_wheel_for_another_platform() -> None:
    """Told once: by its name, which is what pip reads."""
    found = checked(native("cp312-cp312-manylinux_2_28_aarch64", "arm64"))

    assert reasons(found) == [
        "Wheel dep-1.0.0-cp312-cp312-manylinux_2_28_aarch64.whl does not match linux/x86_64, "
        "Python 3.12"
    ]


def test_native_wheel_where_nobody_knows_the_platform() -> None:
    found = checked(native("cp312-cp312-manylinux_2_28_aarch64", "arm64"), ANYWHERE)

    assert found.failures == ()
    (note,) = found.notes
    assert "dep-1.0.0-cp312-cp312-manylinux_2_28_aarch64.whl" in note


def test_native_wheel_for_another_python_where_nobody_knows_the_platform() -> None:
    by_name = checked(native("cp39-cp39-manylinux_2_28_aarch64", "arm64"), ANYWHERE)
    by_library = checked(native("py3-none-any", "arm64", "n.cpython-39-x.so"), ANYWHERE)

    assert reasons(by_name) == [
        "Wheel dep-1.0.0-cp39-cp39-manylinux_2_28_aarch64.whl does not match Python 3.12"
    ]
    assert reasons(by_library) == ["Native extension ABI mismatch"]
    assert by_library.failures[0].details[1:3] == (
        "Expected ABI: cpython-312", "Found ABI: cpython-39",
    )  # fmt: skip


def test_one_library_of_several_has_to_fit() -> None:
    files = {
        "dep/n.cpython-39-x.so": elf(62), "dep/n.cpython-312-x.so": elf(62),
        "dep/libs/one.so.1": elf(183), "dep/libs/two.so.1": elf(62), "dep/no.so": b"text",
    }  # fmt: skip
    found = checked(provider("p", Wheel("dep", files=files)))

    assert found.failures == ()


def test_every_library_that_does_not_fit_is_told() -> None:
    files = {"dep/a.abi3.so": elf(183), "dep/b.abi3.so": elf(183), "dep/c.abi3.so": elf(9999)}
    found = checked(provider("p", Wheel("dep", files=files)))

    assert [failure.details[2:] for failure in found.failures] == [
        ("Found architecture: linux/arm64", "File: dep/a.abi3.so"),
        ("Found architecture: linux/arm64", "File: dep/b.abi3.so"),
        ("Found architecture: linux/machine-9999", "File: dep/c.abi3.so"),
    ]


def test_big_endian_library() -> None:
    content = bytearray(elf(0))
    content[5], content[18:20] = 2, (22).to_bytes(2, "big")
    made = provider("p", Wheel("dep", files={"dep/a.so": bytes(content)}))

    assert checked(made, Target("3.12", "s390x")).failures == ()


def test_files_of_two_wheels() -> None:
    same = [Wheel("a", files={"ns/__init__.py": "1"}), Wheel("b", files={"ns/__init__.py": "1"})]
    other = Wheel("c", files={"ns/__init__.py": "2"})

    assert checked(provider("p", *same)).warnings == ()
    found = checked(provider("p", *same, other))
    assert found.failures == ()
    assert found.warnings == (
        "Provider 'p' (image: example.com/p:v1): a-1.0.0-py3-none-any.whl and "
        "c-1.0.0-py3-none-any.whl bring ns/__init__.py with different content: one of them is lost",
    )


def test_file_where_another_wheel_has_a_directory() -> None:
    found = checked(provider("p", Wheel("a", files={"x": ""}), Wheel("b", files={"x/y.py": ""})))

    assert reasons(found) == ["x is a file of one wheel and a directory of another"]


def test_limits_are_those_of_all_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    made = provider("p", Wheel("a", files={"a.py": "x" * 4000}), Wheel("b", files={"b.py": "y"}))
    assert checked(made).failures == ()

    monkeypatch.setattr(wheels, "MAX_FILES", 10)
    assert [reason.partition(" is")[0] for reason in reasons(checked(made))] == [
        "Wheel p-1.0.0-py3-none-any.whl"
    ]
    monkeypatch.setattr(wheels, "MAX_FILES", 1000)
    monkeypatch.setattr(wheels, "MAX_BYTES", 4500)
    assert len(checked(made).failures) == 2, "the first takes all that there is room for"
    monkeypatch.setattr(wheels, "MAX_BYTES", 10**6)
    monkeypatch.setattr(checks, "MAX_WHEELS", 2)
    assert reasons(checked(made)) == ["There are more than 2 wheels"]


# --- requirements --------------------------------------------------------------------------------


def requiring(*requires: str, more: tuple[Wheel, ...] = ()) -> ProviderImage:
    made = provider("p", *more)
    return replace(made, wheels=(replace(made.wheels[0], requires=requires), *more))


def test_what_the_server_has_to_bring() -> None:
    made = requiring(
        "pydantic>=2", "Dep-B", "httpx; python_version < '3.5'", "extra-one; extra == 'x'",
        "llama-stack>=0.7", "ogx-api", "no requirement",
        "odd; python_version < 'x' and nope == '1'",
        more=(Wheel("dep.b", requires=("humanize",)),),
    )  # fmt: skip

    found = checked(made)

    assert found.failures == ()
    assert found.notes == ("'p' needs of the server: humanize, pydantic>=2",)


def test_version_in_the_image_that_will_not_do() -> None:
    found = checked(requiring("dep>=2", more=(Wheel("dep", "1.5"),)))

    assert found.failures[0].details == (
        "Package: p 1.0.0", "Requirement: dep>=2", "Installed: dep 1.5 (provider)",
    )  # fmt: skip
    assert found.failures[0].facts == ("Module: p", "Reason: Missing dependency")


def test_relative_of_the_server_in_another_version_is_a_warning() -> None:
    found = checked(requiring("ogx-provider-x>=2", more=(Wheel("ogx-provider-x", "1"),)))

    assert found.failures == ()
    assert found.warnings == (
        "Provider 'p' (image: example.com/p:v1): p 1.0.0 requires ogx-provider-x>=2, and "
        "ogx-provider-x 1 is installed",
    )


def test_pre_releases_will_do() -> None:
    assert checked(requiring("dep>=1", more=(Wheel("dep", "2.0rc1"),))).failures == ()


# --- several images ------------------------------------------------------------------------------


def test_images_that_go_together() -> None:
    same = Wheel("dep", files={"dep.py": "1"})

    found = together(provider("one", same), provider("two", same), image("good"))

    assert [one.failures for one in found] == [(), (), ()]


def test_version_that_all_can_live_with_is_chosen() -> None:
    first = requiring("dep", more=(Wheel("dep", "1.0", {"dep.py": "1"}),))
    second = provider("two", Wheel("dep", "2.0", {"dep.py": "2"}))
    second = replace(
        second, wheels=(replace(second.wheels[0], requires=("dep>=2",)), second.wheels[1])
    )

    found = together(first, second)

    assert [one.failures for one in found] == [(), ()]
    assert found[0].notes == (
        "Left out dep 1.0 of external provider 'p': version 2.0 of 'two' is installed",
    )
    assert found[1].notes == ()


def test_module_of_python_is_a_warning() -> None:
    (found,) = together(provider("one", Wheel("argparse", "1.4.0", {"argparse.py": ""})))

    assert found.failures == ()
    assert found.warnings == (
        "Left out argparse of external provider 'one': it would run instead of a module of Python "
        "itself, or at the start of every Python",
    )


def test_clash_is_that_of_the_merge_and_found_behind_another() -> None:
    file = {"shared/x.py": "1"}
    found = together(
        provider("one", files=file),
        provider("two", files={"shared/x.py": "2"}),
        provider("three", files={"shared/x.py": "3"}),
        provider("four", files=file),
    )

    assert [headlines(one) for one in found] == [
        [],
        ["Cannot install provider 'two' due to dependency conflict"],
        ["Cannot install provider 'three' due to dependency conflict"],
        [],
    ]
    assert (
        "File 'shared/x.py' was already installed with different content by provider 'one' "
        "(example.com/0)" in found[2].failures[0].text()
    )


def test_images_of_one_name_are_told_apart() -> None:
    found = together(provider("one", files={"x.py": "1"}), provider("one", files={"x.py": "2"}))

    assert [len(one.failures) for one in found] == [0, 1]


def test_broken_image_clashes_with_nobody() -> None:
    broken = provider("one", Wheel("llama-stack"), files={"shared/x.py": "1"})
    found = together(broken, provider("two", files={"shared/x.py": "2"}))

    assert [len(one.failures) for one in found] == [1, 0]


def test_requirement_that_another_image_meets() -> None:
    found = together(requiring("dep>=2"), provider("two", Wheel("dep", "2.0")))

    assert [(one.failures, one.notes) for one in found] == [((), ()), ((), ())]


def test_native_case_of_the_images_of_tests() -> None:
    found = checked(with_native("native.abi3.so", machine_number("arm64")))

    assert reasons(found) == ["Native extension architecture mismatch"]
