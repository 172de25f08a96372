# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``provider check`` says of a bad image what a pod would: the real programs are asked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from configs.external.offline.target import Target
from llamastack_operator.merging.staged import open_staged
from tests.support.provider_check import checked_path
from tests.support.provider_programs import PYTHON, PodPrograms
from tests.support.provider_wheels import (
    ProviderImage,
    Wheel,
    echo_wheel,
    image,
    this_machine,
    with_spec,
)

TARGET = Target(PYTHON, this_machine().replace("arm64", "aarch64"))
ID = "my-echo"


def with_metadata(**changes: object) -> ProviderImage:
    """The good provider, whose metadata has another spec."""
    good = with_spec("return Spec(**FINE)")
    spec = {
        "packageName": "echo_provider",
        "providerType": "remote::echo",
        "api": "inference",
        "wheelPath": f"packages/{good.wheels[0].filename}",
        **changes,
    }
    return replace(
        good,
        metadata=json.dumps(
            {
                "apiVersion": "llamastack.io/v1alpha1",
                "kind": "ProviderPackage",
                "metadata": {"name": "n", "version": "1.0.0", "vendor": "v"},
                "spec": spec,
            }
        ),
    )


class Unfinished(Wheel):
    """A wheel without one of the files that describe it."""

    lacks = "RECORD"

    def content(self) -> dict[str, bytes]:
        return {p: text for p, text in super().content().items() if not p.endswith(self.lacks)}


class Described(Wheel):
    """A wheel that needs another Python."""

    def content(self) -> dict[str, bytes]:
        files = super().content()
        path = next(path for path in files if path.endswith("/METADATA"))
        return {**files, path: files[path] + b"Requires-Python: >=4\n"}


def beside(*wheels: Wheel, requires: tuple[str, ...] = ()) -> ProviderImage:
    """The good provider, with other wheels."""
    good = with_spec("return Spec(**FINE)")
    return replace(good, wheels=(replace(good.wheels[0], requires=requires), *wheels))


WHOLE: dict[str, Callable[[], ProviderImage]] = {
    **{
        case: lambda case=case: image(case)  # type: ignore[misc]
        for case in (
            *("missing-metadata", "missing-packages", "empty-packages", "hostile-name"),
            *("llama-stack", "wheel-links-out", "wrong-abi", "wrong-architecture"),
        )
    },
    "no such module": lambda: with_metadata(packageName="nowhere"),
    "no such package": lambda: with_metadata(packageName="nowhere.at.all"),
    "no provider.py": lambda: ProviderImage((Wheel("echo-provider", files={
        "echo_provider/__init__.py": "", "echo_provider/other.py": ""}),)),
    "module and no package": lambda: ProviderImage((Wheel("echo-provider", files={
        "echo_provider.py": ""}),)),
    "no YAML": lambda: replace(image("good"), metadata="a: [\n"),
    "many mistakes": lambda: with_metadata(packageName="1", providerType="x", api="y"),
    "large metadata": lambda: replace(image("good"), metadata="#" * (64 * 1024 + 1)),
    "no such wheel": lambda: with_metadata(dependencyWheels=["packages/gone.whl"]),
    "wrong section": lambda: with_metadata(api="safety"),
    "requirement": lambda: beside(Wheel("dep", "1.0"), requires=("dep>=2",)),
    "odd file": lambda: beside(Wheel("dep", "1.0", {"two\nlines.py": ""})),
}  # fmt: skip
"""Images of which the whole message is the same."""

BY_PIP: dict[str, Callable[[], ProviderImage]] = {
    "corrupt": lambda: image("corrupt-wheel"),
    "unsupported": lambda: image("unsupported-wheel"),
    "two versions": lambda: beside(Wheel("dep", "1.0"), Wheel("dep", "2.0")),
    "two of one version": lambda: beside(Wheel("dep"), Wheel("dep", tag="py2.py3-none-any")),
    "bad name": lambda: replace(image("good"), files={"packages/dep.whl": b""}),
    "file leads out": lambda: beside(Wheel("dep", files={"../dep.py": ""})),
    "absolute file": lambda: beside(Wheel("dep", files={"/lls-test/dep.py": ""})),
    "no record": lambda: beside(Unfinished("dep")),
    "other Python": lambda: beside(Described("dep")),
    "other content": lambda: beside(replace(Wheel("dep"), files={"other-1.0.dist-info/WHEEL": ""})),
}
"""Images that pip fails at, in its own words; headline, provider and resolution are the same."""


def parts(text: str) -> tuple[list[str], str]:
    """A message without what is between the provider and the resolution."""
    lines = text.rstrip("\n").split("\n")
    return lines[:5], lines[-1]


@pytest.mark.parametrize("case", WHOLE)
def test_message_is_that_of_the_pod(case: str, tmp_path: Path) -> None:
    WHOLE[case]().write(tmp_path / "image")

    said = PodPrograms(tmp_path / "pod", ID).failure(tmp_path / "image")
    found = checked_path(tmp_path / "image", TARGET, provider_id=ID, section="inference")

    assert said.startswith("ERROR: ")
    assert said in [failure.text() for failure in found.failures]


@pytest.mark.parametrize("case", BY_PIP)
def test_what_pip_fails_at_is_found(case: str, tmp_path: Path) -> None:
    BY_PIP[case]().write(tmp_path / "image")

    said = PodPrograms(tmp_path / "pod", ID).failure(tmp_path / "image")
    found = checked_path(tmp_path / "image", TARGET, provider_id=ID)

    assert "\nPip installation failed with:\n" in said
    assert parts(said) in [parts(failure.text()) for failure in found.failures]


def test_closed_file_is_found(tmp_path: Path) -> None:
    top = image("good").write(tmp_path / "image")
    (top / "lls-provider-spec.yaml").chmod(0)
    caps = "-dac_override,-dac_read_search"
    before = ("setpriv", f"--bounding-set={caps}") if os.getuid() == 0 else ()

    said = PodPrograms(tmp_path / "pod", ID).failure(tmp_path / "image", before)
    found = checked_path(tmp_path / "image", TARGET, provider_id=ID)

    # In a pod the image's root is where the paths of the image begin.
    assert said.replace(f"denied: {tmp_path}/image/", "denied: /") in [
        failure.text() for failure in found.failures
    ]


@pytest.mark.parametrize("case", ["good", "abi3", "list-of-specs"])
def test_good_image_has_nothing_wrong(case: str, tmp_path: Path) -> None:
    image(case).write(tmp_path / "image")

    found = checked_path(tmp_path / "image", TARGET)

    assert (found.failures, found.warnings) == ((), ())


def test_good_provider_passes_the_programs(tmp_path: Path) -> None:
    with_spec("return Spec(**FINE)").write(tmp_path / "image")

    assert PodPrograms(tmp_path / "pod", ID).failure(tmp_path / "image") == ""


def test_what_pip_would_leave_is_what_it_leaves(tmp_path: Path) -> None:
    """So the merge's rules are asked of the same."""
    data = "dep-1.0.0.data"
    dep = Wheel("dep", requires=("pydantic>=2", "x; extra == 'y'"), files={
        "my_org/dep.py": "1", f"{data}/purelib/pure.py": "", f"{data}/scripts/run": "#!python\n",
        f"{data}/data/share/doc/text": "", f"{data}/platlib/my_org/n.txt": "",
        "dep-1.0.0.dist-info/entry_points.txt": "[console_scripts]\nrun-it = my_org.dep:main\n",
    })  # fmt: skip
    beside(dep).write(tmp_path / "image")
    found = checked_path(tmp_path / "image", TARGET, provider_id=ID)
    assert found.installed
    expected = found.installed.staged

    pod = PodPrograms(tmp_path / "pod", ID)
    assert pod.failure(tmp_path / "image") == ""
    directory = open_staged(pod.staged, found.provider)
    installed = directory.packages()
    directory.close()

    assert (installed.python, installed.machine) == (expected.python, expected.machine)
    assert without_records(installed.files) == without_records(expected.files)
    for one, other in zip(installed.distributions, expected.distributions, strict=True):
        assert (one.name, one.version, one.requires) == (other.name, other.version, other.requires)
        assert without_records(one.files) == without_records(other.files)


def without_records(paths: Iterable[str]) -> set[str]:
    """Files, but for what pip writes about one installation."""
    own = ("/INSTALLER", "/REQUESTED", "/direct_url.json")
    return {path for path in paths if not path.endswith(own)}


def test_echo_wheel_is_what_the_image_has(tmp_path: Path) -> None:
    image("good").write(tmp_path / "image")

    assert checked_path(tmp_path / "image", TARGET).wheels == (echo_wheel().filename,)
