# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which files of whom make the one tree, and what cannot be put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from configs.external.distributions import Distribution, Staged, StagedFile
from configs.external.failures import Provider, ProviderError
from configs.external.packages import (
    Link,
    Plan,
    installed_text,
    is_server_distribution,
    plan,
)

TAIL = """\
Provider: p1
Image: image-1
Init Container: install-1
"""
ADVICE = """\

Previously installed packages can be found in: \
/opt/llama-stack/external-providers/installed-packages.txt

Resolution: Update provider images to use compatible dependency versions, or reorder providers in \
the CRD if one provider's dependencies are a superset of another's.
"""


class World:
    """Providers that bring distributions and files; a content is a text."""

    def __init__(self) -> None:
        self.staged: list[Staged] = []
        self.contents: list[Mapping[str, str]] = []
        self.digested: list[tuple[int, str]] = []

    def add(
        self,
        contents: Mapping[str, str],
        *units: tuple[str, str, Sequence[str]],
        requires: Sequence[str] = (),
    ) -> World:
        number = len(self.staged)
        files = dict(contents)
        distributions = []
        for name, version, own in units:
            described = f"{name.replace('-', '_')}-{version}.dist-info"
            files |= {
                f"{described}/METADATA": f"{name} {version}",
                f"{described}/RECORD": str(number),
            }
            paths = {*own, f"{described}/METADATA", f"{described}/RECORD"}
            distributions.append(Distribution(name, version, tuple(requires), frozenset(paths)))
        self.staged.append(
            Staged(
                Provider(f"p{number}", f"image-{number}", f"install-{number}"),
                {path: StagedFile(len(text), 0o644) for path, text in files.items()},
                tuple(distributions),
            )
        )
        self.contents.append(files)
        return self

    def plan(self) -> Plan:
        return plan(self.staged, self._digest)

    def tree(self) -> dict[str, int]:
        return {link.path: link.provider for link in self.plan().links}

    def failure(self) -> str:
        with pytest.raises(ProviderError) as raised:
            self.plan()
        return raised.value.failure.text()

    def _digest(self, number: int, path: str) -> bytes:
        self.digested.append((number, path))
        return self.contents[number][path].encode()


def test_tree_has_the_files_of_all() -> None:
    world = World().add({"a/x.py": "1"}, ("a", "1", ["a/x.py"])).add({"b.py": "2", "loose": "3"})

    assert world.tree() == {
        "a/x.py": 0,
        "a-1.dist-info/METADATA": 0,
        "a-1.dist-info/RECORD": 0,
        "b.py": 1,
        "loose": 1,
    }
    assert world.plan().links == tuple(sorted(world.plan().links))
    assert world.plan().links[0] == Link(0, "a-1.dist-info/METADATA")
    assert world.digested == []


def test_modules_of_python_are_left_out() -> None:
    world = World().add({"types.py": "1", "a.py": ""}, ("a", "1", ["types.py", "a.py"]))
    world.add({"types.py": "2"}).add({"asyncio/__init__.py": "", "asyncio/data.txt": ""})

    plan = world.plan()

    assert [link for link in plan.links if "dist-info" not in link.path] == [Link(0, "a.py")]
    assert plan.hiding == ((0, "types"), (1, "types"), (2, "asyncio"))


def test_nobody_brings_anything() -> None:
    assert World().plan() == Plan((), ())
    assert World().add({}).plan() == Plan((), ())


def test_shared_package_of_the_same_content_is_taken_from_the_first() -> None:
    world = World()
    world.add({"org/__init__.py": "", "org/a.py": "a"}, ("a", "1", ["org/__init__.py", "org/a.py"]))
    world.add({"org/__init__.py": "", "org/b.py": "b"}, ("b", "1", ["org/__init__.py", "org/b.py"]))

    tree = world.tree()

    assert (tree["org/__init__.py"], tree["org/a.py"], tree["org/b.py"]) == (0, 0, 1)


@pytest.mark.parametrize("other", ["y = 2", "longer"])
def test_one_path_with_two_contents_is_a_failure(other: str) -> None:
    world = World()
    world.add({"org/__init__.py": "x = 1"}, ("a", "1", ["org/__init__.py"]))
    world.add({"org/__init__.py": other}, ("b", "1", ["org/__init__.py"]))

    assert world.failure() == (
        "ERROR: Cannot install provider 'p1' due to dependency conflict\n\n"
        f"{TAIL}\n"
        "Pip installation failed with:\n"
        "File 'org/__init__.py' was already installed with different content by provider 'p0' "
        "(image-0)\n"
        f"{ADVICE}"
    )
    assert bool(world.digested) == (other == "y = 2")


def test_version_that_is_not_taken_leaves_no_file() -> None:
    world = World()
    world.add({"dep.py": "1", "old.py": "1"}, ("dep", "1", ["dep.py", "old.py"]))
    world.add({"dep.py": "2", "new.py": "2"}, ("dep", "2", ["dep.py", "new.py"]))

    assert sorted(world.tree()) == [
        "dep-1.dist-info/METADATA", "dep-1.dist-info/RECORD", "dep.py", "old.py",
    ]  # fmt: skip
    (left_out,) = world.plan().left_out
    assert (left_out.provider, str(left_out.distribution), left_out.taken.version) == (
        1,
        "dep 2",
        "1",
    )


def test_file_that_a_taken_distribution_shares_with_one_that_is_not_stays() -> None:
    world = World()
    world.add({"dep.py": "1"}, ("dep", "1", ["dep.py"]))
    world.add(
        {"dep.py": "2", "both.py": "2"},
        ("dep", "2", ["dep.py", "both.py"]),
        ("b", "1", ["both.py"]),
    )

    tree = world.tree()

    assert (tree["dep.py"], tree["both.py"]) == (0, 1)


def test_version_that_somebody_needs_comes_from_who_brings_it() -> None:
    world = World()
    world.add({"dep.py": "1"}, ("dep", "1", ["dep.py"]))
    world.add({"dep.py": "2"}, ("dep", "2", ["dep.py"]))
    world.add({}, ("c", "1", []), requires=["dep>1"])

    assert world.tree()["dep.py"] == 1


def test_clash_of_versions_is_a_failure_of_the_later_provider() -> None:
    world = World()
    world.add({}, ("a", "1.0", []), ("dep", "1", []), requires=["dep<2"])
    world.add({}, ("b", "1.0", []), ("dep", "2", []), requires=["dep>=2"])
    world.add({}, ("dep", "1", []))

    assert world.failure() == (
        "ERROR: Cannot install provider 'p1' due to dependency conflict\n\n"
        f"{TAIL}\n"
        "Pip installation failed with:\n"
        "a 1.0 depends on dep<2\n"
        "b 1.0 depends on dep>=2\n"
        "dep 1 comes with provider 'p0'\n"
        "dep 2 comes with provider 'p1'\n"
        "Conflicting providers:\n"
        "  - p0 (image-0)\n"
        "  - p1 (image-1)\n"
        f"{ADVICE}"
    )


def test_copies_of_one_version_must_be_the_same() -> None:
    world = World().add({"dep.py": "1"}, ("dep", "1", ["dep.py"]))
    world.add({"dep.py": "2"}, ("dep", "1", ["dep.py"]))

    assert (
        "File 'dep.py' was already installed with different content by provider 'p0' (image-0)\n"
        in world.failure()
    )


def test_copies_of_one_version_must_have_the_same_files() -> None:
    world = World().add({"dep.py": "1"}, ("dep", "1", ["dep.py"]))
    world.add({"dep.py": "1", "more.py": ""}, ("dep", "1", ["dep.py", "more.py"]))

    assert (
        "File 'more.py' is not in both copies of dep 1, and provider 'p0' (image-0) brings one of "
        "them\n" in world.failure()
    )


def test_script_that_is_in_one_copy_only_is_not_lost() -> None:
    world = World().add({"dep.py": "1"}, ("dep", "1", ["dep.py"]))
    world.add({"dep.py": "1", "bin/dep": ""}, ("dep", "1", ["dep.py", "bin/dep"]))

    assert "File 'bin/dep' is not in both copies of dep 1" in world.failure()


def test_what_pip_writes_of_itself_may_differ_between_copies() -> None:
    world = World()
    for python in ("/usr/bin/python3", "/usr/local/bin/python3"):
        own = {"bin/dep": f"#!{python}", "dep-1.dist-info/direct_url.json": python}
        world.add({"dep.py": "1", **own}, ("dep", "1", ["dep.py", *own]))

    assert set(world.tree().values()) == {0}


def test_builds_of_one_version_may_describe_themselves_differently() -> None:
    """A tool writes its own name, spells that of the distribution its way, and adds licences."""
    world = World()
    builds = {"WHEEL": "a"}, {"WHEEL": "other", "LICENSE": "b"}
    for top, build in zip(("dep", "Dep"), builds, strict=True):
        own = {f"{top}-1.dist-info/{name}": text for name, text in build.items()}
        world.add({"dep.py": "1", **own}, ("dep", "1", ["dep.py", *own]))

    assert set(world.tree().values()) == {0}


def test_copies_of_a_version_that_is_not_taken_are_not_compared() -> None:
    world = World().add({}, ("dep", "2", []))
    for content in ("1", "2"):
        world.add({"dep.py": content}, ("dep", "1", ["dep.py"]))

    assert set(world.tree()) == {"dep-2.dist-info/METADATA", "dep-2.dist-info/RECORD"}


@pytest.mark.parametrize("order", [("org", "org/a/b.py"), ("org/a/b.py", "org")])
def test_file_where_another_provider_needs_a_directory_is_a_failure(order: tuple[str, str]) -> None:
    world = World().add({order[0]: ""}).add({order[1]: ""})

    assert world.failure() == (
        "ERROR: Cannot install provider 'p1' due to dependency conflict\n\n"
        f"{TAIL}\n"
        "Pip installation failed with:\n"
        "'org' is a file of one provider and a directory of another: provider 'p0' (image-0) "
        "installed the other\n"
        f"{ADVICE}"
    )


@pytest.mark.parametrize(
    "name",
    ["llama-stack", "llama-stack-client", "llama-stack-api", "ogx", "ogx-client", "ogx-api"],
)
def test_packages_of_the_server_are_refused(name: str) -> None:
    world = World().add({}).add({}, (name, "1", []))

    assert world.failure() == (
        "ERROR: Cannot install provider 'p1': it would hide the server's own packages\n\n"
        f"{TAIL}\n"
        f"{name} is a package of the server itself.\n\n"
        "Resolution: Leave the wheel out of /lls-provider/packages/ and rebuild the provider "
        "image. It need not be there: the server has the package, and dependencies are not "
        "resolved when providers are installed.\n"
    )


@pytest.mark.parametrize(
    "name", ["llama-stack-provider-x", "ogx-provider-x", "ogxx", "my-llama-stack", "llama"]
)
def test_packages_that_are_named_after_the_server_are_taken(name: str) -> None:
    assert not is_server_distribution(name)


@pytest.mark.parametrize(
    "path", ["llama_stack/__init__.py", "ogx.py", "llama_stack_api/__init__.cpython-312.so"]
)
def test_module_of_the_server_in_a_wheel_of_another_name_is_refused(path: str) -> None:
    world = World().add({}).add({path: ""}, ("innocent", "1", [path]))

    module = path.partition("/")[0].removesuffix(".py")
    assert f"{module} is a package of the server itself.\n" in world.failure()


@pytest.mark.parametrize(
    "path", ["llama_stack_provider/__init__.py", "llama_stack/x.py", "a/llama_stack/__init__.py"]
)
def test_module_that_hides_nothing_is_taken(path: str) -> None:
    assert World().add({path: ""}).tree() == {path: 0}


def test_two_versions_of_one_provider_are_refused() -> None:
    world = World().add({}).add({}, ("dep", "1", []), ("dep", "2", []))

    assert "dep is there in two versions: 1 and 2\n" in world.failure()


def test_list_says_what_is_installed_and_what_is_not() -> None:
    world = World()
    world.add({}, ("a", "1", []), ("dep", "1", []))
    world.add({}, ("dep", "2", []), ("same", "1", []))
    world.add({}, ("same", "1", []))

    assert installed_text(world.staged, world.plan().left_out) == (
        "# provider: p0 image: image-0\n"
        "a==1\n"
        "dep==1\n"
        "# provider: p1 image: image-1\n"
        "# dep==2 is left out: 1 of provider p0 is installed\n"
        "same==1\n"
        "# provider: p2 image: image-2\n"
        "same==1\n"
    )
