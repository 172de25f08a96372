# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The program that loads external providers before the server does, in real servers' Pythons.

It is copied away from the project first, as a ConfigMap hands it to an image that has nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from configs import yaml_reader
from configs.external import inside
from hack.servers.bed import Bed
from hack.servers.releases import RELEASES, Release, newest
from hack.servers.server import LlamaServer
from tests.support.provider_wheels import (
    ECHO_TYPE,
    ProviderImage,
    Wheel,
    echo_wheel,
    image,
    machine_number,
    other_machine,
    this_machine,
    with_native,
    with_spec,
)

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

NEWEST = newest("0.7")
SCRIPT = Path(inside.__path__[0]) / "preflight.py"
SUCCESS = "Validating provider: my-echo\nAll providers validated successfully\n"
HEAD = "ERROR: Provider validation failed\n\n"
SPEC_HEAD = "ERROR: Provider spec validation failed\n\n"
SECRET = "hunter2"
BEFORE = "of the last run " * 256  # what an earlier termination message is, until there is one


def who(provider: str = "my-echo", module: str = "echo_provider") -> str:
    """The lines that name a provider."""
    return (
        f"Provider: {provider}\nImage: registry.example/{provider}:v1\n"
        f"Init Container: install-provider-{provider}\nModule: {module}\n"
    )


FINE_FILES = {
    "fine/__init__.py": "",
    "fine/provider.py": """
class Spec:
    provider_type, api, config_class = "remote::echo", "inference", "a.B"


def get_provider_spec():
    return Spec()
""",
}


@dataclass(frozen=True)
class Run:
    """How a run ended: exit status, output, termination message."""

    status: int
    out: str
    err: str
    log: str


class Pod:
    """What the init containers before the preflight leave.

    Args:
        bed: of servers.
        place: for all of it, where servers can read.
    """

    def __init__(self, bed: Bed, place: Path) -> None:
        self.bed, self.place = bed, place
        self.staged, self.packages = place / "staged", place / "python-packages"
        self.inputs, self.run_yaml = place / "crd-config", place / "run.yaml"
        self.log = place / "termination-log"
        self.entries: list[dict[str, Any]] = []
        for folder in (self.staged, self.packages, self.inputs):
            folder.mkdir()
        shutil.copy(SCRIPT, self.inputs)

    def add(
        self, provider: ProviderImage, name: str = "my-echo", module: str | None = None
    ) -> Path:
        """Install a provider and put it into run.yaml; the directory it is staged in."""
        provider.stage(self.staged / name)
        shutil.copytree(self.staged / name / "packages", self.packages, dirs_exist_ok=True)
        entry = {
            "providerId": name, "api": "inference", "section": "inference", "index": 0,
            "image": f"registry.example/{name}:v1", "initContainerName": f"install-provider-{name}",
        }  # fmt: skip
        path = self.inputs / f"{len(self.entries):02}-{name}.json"
        path.write_text(json.dumps(entry), encoding="utf-8")
        self.enter(name, module=module or provider.package)
        return self.staged / name

    def enter(self, name: str, **more: Any) -> None:
        """Put an entry into run.yaml, with a configuration that is nobody's business."""
        config = {"password": SECRET}
        entry = {"provider_id": name, "provider_type": ECHO_TYPE, "config": config, **more}
        self.entries.append(entry)
        document: dict[str, Any] = {
            "version": 2,
            "providers": {"inference": self.entries, "safety": None},
        }
        self.run_yaml.write_text(yaml_reader.dump(document), encoding="utf-8")

    def run(self, *more: str, release: Release = NEWEST, arguments: list[str] | None = None) -> Run:
        """Run the program in a server's Python."""
        self.log.write_text(BEFORE, encoding="utf-8")
        before = self.files()
        inside_place = self.bed.inside(self.place)
        if arguments is None:
            arguments = [
                f"--run-yaml={inside_place}/run.yaml", f"--metadata-dir={inside_place}/staged",
                f"--crd-config-dir={inside_place}/crd-config",
                f"--packages-dir={inside_place}/python-packages",
            ]  # fmt: skip
        variables = {
            "PATH": os.defpath,
            "HOME": f"{inside_place}",
            "PYTHONPATH": f"{inside_place}/python-packages",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TERMINATION_LOG": f"{inside_place}/termination-log",
        }
        command = self.bed.python(release)
        python = command.pop()
        command += ["/usr/bin/env", "-i", *(f"{k}={v}" for k, v in variables.items())]
        command += [python, f"{inside_place}/crd-config/preflight.py", *arguments, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert self.files() == before, "the preflight changes nothing"
        log = self.log.read_bytes()
        assert len(log) <= 4096
        assert SECRET not in done.stdout + done.stderr + log.decode()
        return Run(done.returncode, done.stdout, done.stderr, log.decode())

    def files(self) -> list[Path]:
        """All that is there."""
        return sorted(self.place.rglob("*"))


@pytest.fixture
def pod(bed: Bed) -> Iterator[Pod]:
    """An empty one."""
    place = bed.household.place("preflight")
    yield Pod(bed, place)
    bed.household.clear(place)


# --- what is fine ----------------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.slug)
def test_good_provider_passes_in_every_release(pod: Pod, release: Release) -> None:
    pod.add(image("good"))

    done = pod.run(release=release)

    assert done == Run(0, SUCCESS, "", BEFORE)


def test_installed_by_the_real_installer_it_passes(pod: Pod) -> None:
    provider = ProviderImage((replace(echo_wheel(), requires=("some-dep", "pydantic>=2")),
                              Wheel("some-dep")))  # fmt: skip
    provider.write(pod.place / "image")
    pod.add(provider)
    shutil.rmtree(pod.staged / "my-echo")
    shutil.rmtree(pod.packages)
    environment = {
        "PROVIDER_ROOT": str(pod.place / "image"),
        "INSTALL_TARGET": str(pod.staged / "my-echo"),
    }
    command = [sys.executable, str(SCRIPT.with_name("install.py"))]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    shutil.copytree(pod.staged / "my-echo" / "packages", pod.packages)

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


async def test_server_loads_what_passes(pod: Pod) -> None:
    pod.add(image("good"))
    config: dict[str, Any] = {
        "version": 2,
        "distro_name": "tests",
        "apis": ["inference"],
        "providers": {"inference": [{**pod.entries[0], "config": {"prefix": "said: "}}]},
        "storage": {
            "backends": {
                "kv_default": {"type": "kv_sqlite", "db_path": "${env.RUN_DIR}/kv.db"},
                "sql_default": {"type": "sql_sqlite", "db_path": "${env.RUN_DIR}/sql.db"},
            },
            "stores": {"metadata": {"backend": "kv_default", "namespace": "registry"}},
        },
    }
    path = {"PYTHONPATH": pod.bed.inside(pod.packages)}
    assert pod.run().status == 0

    async with LlamaServer(pod.bed, NEWEST, yaml_reader.dump(config), path) as server:
        providers = await server.get("/v1/providers")
        asked = {"model": "my-echo/echo-1", "messages": [{"role": "user", "content": "hello"}]}
        answer = await server.post("/v1/chat/completions", asked)

    assert [p["provider_id"] for p in providers["data"] if p["api"] == "inference"] == ["my-echo"]
    assert answer["choices"][0]["message"]["content"] == "said: hello"


def test_providers_of_the_server_are_not_loaded(pod: Pod) -> None:
    pod.enter("own")

    assert pod.run() == Run(0, "All providers validated successfully\n", "", BEFORE)


def test_spec_is_found_in_a_list(pod: Pod) -> None:
    pod.add(image("list-of-specs"))

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


def test_last_spec_of_a_type_counts_as_in_the_server(pod: Pod) -> None:
    pod.add(with_spec("return [Spec(**FINE), Spec(**{**FINE, 'api': None})]"))

    assert "Missing required field: api" in pod.run().err


def test_version_in_the_module_is_cut_off(pod: Pod) -> None:
    pod.add(with_spec("return Spec(**FINE)"), module="echo_provider==1.2")

    assert pod.run().status == 0


def test_config_schema_will_do_for_config_class(pod: Pod) -> None:
    pod.add(with_spec("return Spec(provider_type=FINE['provider_type'], api='inference', "
                      "config_schema='a.B')"))  # fmt: skip

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


def test_module_of_the_spec_is_not_loaded(pod: Pod) -> None:
    pod.add(with_spec("return Spec(**FINE, module='nowhere')"))

    assert pod.run().status == 0


def test_package_may_be_called_like_the_program(pod: Pod) -> None:
    code = echo_wheel(provider="def get_provider_spec(): return Spec()\n")
    text = code.files["echo_provider/provider.py"]
    wheel = Wheel("own", files={"preflight/__init__.py": "", "preflight/provider.py": text})
    pod.add(ProviderImage((wheel,), package="preflight"))

    assert "get_provider_spec() raised NameError" in pod.run().err, "it was the provider's"


def test_threads_of_a_provider_do_not_hold_up_the_end(pod: Pod) -> None:
    waits = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    good = with_spec("return Spec(**FINE)").wheels[0]
    wheel = replace(good, files={**good.files, "echo_provider/__init__.py": waits})
    pod.add(ProviderImage((wheel,)))

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


# --- command line and run.yaml ---------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--run-yaml=x", "--what"],
                                       ["--run-yaml=x", "--timeout=soon"]])  # fmt: skip
def test_wrong_command_line_is_status_2(pod: Pod, arguments: list[str]) -> None:
    done = pod.run(arguments=arguments)

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("usage: preflight.py")


def test_run_yaml_that_is_not_there_fails(pod: Pod) -> None:
    done = pod.run()

    assert done.status == 1
    assert (
        done.err
        == done.log
        == (
            f"{HEAD}Reason: Cannot read {pod.bed.inside(pod.run_yaml)}: FileNotFoundError\n\n"
            "Resolution: Correct the base configuration.\n"
        )
    )


def test_broken_run_yaml_is_not_quoted(pod: Pod) -> None:
    pod.run_yaml.write_text(f"providers:\n  a: [{SECRET}: {SECRET}: *{SECRET}", encoding="utf-8")

    done = pod.run()

    assert done.status == 1
    assert "Error in line 2\n" in done.err


# --- native extensions -----------------------------------------------------------------------


def test_native_extension_that_fits_passes(pod: Pod) -> None:
    pod.add(image("abi3"))

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


def test_native_extension_of_another_machine_fails(pod: Pod) -> None:
    pod.add(image("wrong-architecture"))

    done = pod.run()

    assert done.status == 1
    assert done.out == "Validating provider: my-echo\n"
    assert (
        done.err
        == done.log
        == (
            f"{HEAD}{who()}Reason: Native extension architecture mismatch\n\n"
            "Package: echo_provider-1.0.0-py3-none-any.whl\n"
            f"Expected architecture: linux/{this_machine()}\n"
            f"Found architecture: linux/{other_machine()}\n"
            "File: echo_provider/native.abi3.so\n\n"
            "Resolution: Rebuild provider package with native extensions compiled for "
            f"linux/{this_machine()}, or use pure Python implementation.\n"
        )
    )


def test_native_extension_of_another_python_fails(pod: Pod) -> None:
    pod.add(image("wrong-abi"))

    done = pod.run()

    python = f"cpython-{asked(pod, VERSION)}"
    assert done.status == 1
    assert (
        done.err
        == done.log
        == (
            f"{HEAD}{who()}Reason: Native extension ABI mismatch\n\n"
            "Package: echo_provider-1.0.0-py3-none-any.whl\n"
            f"Expected ABI: {python}\nFound ABI: cpython-39\n"
            "File: echo_provider/native.cpython-39-x-y.so\n\n"
            "Resolution: Rebuild provider package with native extensions compiled for "
            f"linux/{this_machine()} and {python}, or use pure Python implementation.\n"
        )
    )


def test_wheel_with_an_extension_for_each_python_passes(pod: Pod) -> None:
    here = machine_number(this_machine())
    own = f"native.cpython-{asked(pod, VERSION)}-x-y.so"
    one, other = with_native(own, here), image("wrong-abi")
    wheel = replace(one.wheels[0], files={**one.wheels[0].files, **other.wheels[0].files})
    pod.add(replace(one, wheels=(wheel,)))

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


def test_links_and_pipes_are_not_read(pod: Pod) -> None:
    wrong = machine_number(other_machine())
    elsewhere = with_native("native.abi3.so", wrong).wheels[0]
    elsewhere.unpack(pod.place / "elsewhere")
    staged = pod.add(with_spec("return Spec(**FINE)"))
    native = pod.place / "elsewhere/echo_provider/native.abi3.so"
    (staged / "packages/link.so").symlink_to(pod.bed.inside(native))
    (staged / "packages/linked").symlink_to(pod.bed.inside(native.parent))
    os.mkfifo(staged / "packages/pipe.so")
    (staged / "packages/short.so").write_bytes(b"\x7f")

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


# --- dependencies ----------------------------------------------------------------------------


VERSION = "print(*sys.version_info[:2], sep='')"
NAMED = "print(d['Name'], d['Version'])"


def asked(pod: Pod, code: str) -> str:
    """What the newest server's Python prints."""
    command = [*pod.bed.python(NEWEST), "-c", f"import importlib.metadata, sys; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def requiring(*requires: str, more: tuple[Wheel, ...] = ()) -> ProviderImage:
    """A provider with these requirements, and these wheels beside its own."""
    good = with_spec("return Spec(**FINE)")
    return replace(good, wheels=(replace(good.wheels[0], requires=requires), *more))


def test_missing_dependency_fails(pod: Pod) -> None:
    pod.add(image("missing-dependency"))

    done = pod.run()

    assert done.status == 1
    assert (
        done.err
        == done.log
        == (
            f"{HEAD}{who()}Reason: Missing dependency\n\n"
            "Package: echo-provider 1.0.0\nRequirement: nowhere-to-be-found>=2\n"
            "Installed: nothing\n\n"
            "Resolution: Add a wheel for nowhere-to-be-found>=2 to /lls-provider/packages/ of the "
            "provider image.\n"
        )
    )


def test_dependency_of_a_dependency_is_checked(pod: Pod) -> None:
    pod.add(requiring("some.dep", more=(Wheel("some-dep", requires=("nowhere",)),)))

    assert "Package: some-dep 1.0.0\nRequirement: nowhere\nInstalled: nothing\n" in pod.run().err


def test_wrong_version_among_the_providers_fails(pod: Pod) -> None:
    pod.add(requiring("some-dep>=2", more=(Wheel("some-dep", "1.5"),)))

    done = pod.run()

    assert done.status == 1
    assert "Requirement: some-dep>=2\nInstalled: some-dep 1.5 (provider)\n" in done.log


def test_what_the_server_or_another_provider_brings_will_do(pod: Pod) -> None:
    requires = (
        "pydantic>=2", "Some_Dep<2", "absent; python_version<'3'", "absent; extra == 'more'",
        "not a requirement", "llama-stack>=0.7.0a1",
    )  # fmt: skip
    pod.add(requiring(*requires))
    candidate = Wheel("some-dep", "1.0rc1")
    pod.add(ProviderImage((Wheel("other", files={"other.py": ""}), candidate)), "other")
    pod.entries.pop()
    pod.enter("none")

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


@pytest.mark.parametrize("name", ["pydantic", "llama-stack", "llama-stack-api"])
def test_wrong_version_of_the_server_is_a_warning(pod: Pod, name: str) -> None:
    pod.add(requiring(f"{name}<0.1"))

    done = pod.run()

    assert (done.status, done.out, done.log) == (0, SUCCESS, BEFORE)
    installed = asked(pod, f"d = importlib.metadata.metadata({name!r}); {NAMED}")
    assert done.err == (
        "WARNING: Provider requires another version (non-blocking)\n\nProvider: my-echo\n"
        f"Package: echo-provider 1.0.0\nRequirement: {name}<0.1\n"
        f"Installed: {installed} (server)\n\n"
        "Note: The provider runs with the installed version, which it may not work with.\n\n"
    )


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.slug)
def test_release_of_the_server_that_a_provider_was_not_made_for_is_named(
    pod: Pod, release: Release
) -> None:
    pod.add(requiring(f"{release.package}<{release.version}"))

    done = pod.run(release=release)

    assert done.status == 0
    assert f"Requirement: {release.package}<{release.version}\n" in done.err
    assert f" {release.version} (server)\n" in done.err


def test_package_of_the_server_that_is_hidden_is_a_warning(pod: Pod) -> None:
    pod.add(image("llama-stack"))

    done = pod.run()

    hidden = asked(pod, f"d = importlib.metadata.metadata('llama-stack'); {NAMED}")
    assert (done.status, done.out, done.log) == (0, SUCCESS, BEFORE)
    assert done.err == (
        "WARNING: Provider package hides a package of the server (non-blocking)\n\n"
        f"Provider: my-echo\nPackage: llama-stack 0.0.1\nHidden: {hidden} (server)\n\n"
        "Note: The whole server runs with the provider's version of this package.\n\n"
    )


def test_same_version_hides_nothing(pod: Pod) -> None:
    version = asked(pod, "print(importlib.metadata.version('llama-stack'))")
    pod.add(requiring(more=(Wheel("llama-stack", version),)))

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


def test_wrong_version_of_the_server_that_a_provider_brings_is_a_warning(pod: Pod) -> None:
    pod.add(requiring("llama-stack>=0.1", more=(Wheel("llama-stack", "0.0.1"),)))

    done = pod.run()

    assert done.status == 0
    assert "Requirement: llama-stack>=0.1\nInstalled: llama-stack 0.0.1 (provider)\n" in done.err


def test_without_a_parser_of_requirements_there_is_a_note(pod: Pod) -> None:
    """A package of that name which lacks it, as no server does."""
    pod.add(image("missing-dependency"))
    (pod.packages / "packaging").mkdir()
    (pod.packages / "packaging/__init__.py").touch()

    done = pod.run()

    assert (done.status, done.out) == (0, SUCCESS)
    assert done.err == "NOTE: Requirements were not checked: there is no 'packaging'\n"


# --- import and spec -------------------------------------------------------------------------

NOT_FOUND = (
    "Resolution: Ensure provider packages are installed and PYTHONPATH is set correctly. "
    "Put a wheel with the module into the provider image, or correct spec.packageName.\n"
)
NOT_IMPORTABLE = "Resolution: Make echo_provider.provider importable in the server's image.\n"


def test_module_that_is_not_there_fails(pod: Pod) -> None:
    pod.add(image("good"), module="nowhere.to_be_found")

    done = pod.run()

    assert done.status == 1
    assert (
        done.err
        == done.log
        == (
            f"{HEAD}{who(module='nowhere.to_be_found')}Reason: Module not found\n\n"
            f"Traceback:\n  ModuleNotFoundError: No module named 'nowhere'\n\n{NOT_FOUND}"
        )
    )


def test_provider_of_the_base_configuration_has_no_image(pod: Pod) -> None:
    pod.enter("../base", module="nowhere")

    done = pod.run()

    assert done.err == (
        f"{HEAD}Provider: ../base\nModule: nowhere\nReason: Module not found\n\n"
        f"Traceback:\n  ModuleNotFoundError: No module named 'nowhere'\n\n{NOT_FOUND}"
    )


def test_import_that_fails_shows_the_providers_own_lines(pod: Pod) -> None:
    code = """
import importlib
try:
    importlib.import_module("echo_provider.inner")
except ArithmeticError as error:
    raise ValueError("no") from error
"""
    pod.add(ProviderImage((echo_wheel(provider=code, inner="1 / 0"),)))

    done = pod.run()

    folder = f"{pod.bed.inside(pod.packages)}/echo_provider"
    assert done.status == 1
    assert done.err == done.log
    assert done.err.startswith(f"{HEAD}{who()}Reason: Import failed: ValueError\n\nTraceback:\n")
    assert f'    File "{folder}/provider.py", line 4, in <module>\n' in done.err
    assert f'    File "{folder}/inner.py", line 1, in <module>\n      1 / 0\n' in done.err
    assert f'    File "{folder}/provider.py", line 6, in <module>\n' in done.err
    assert "importlib/__init__.py" not in done.err
    assert "preflight.py" not in done.err
    assert done.err.endswith(f"\n  ValueError: no\n\n{NOT_IMPORTABLE}")


def test_dependency_that_is_not_required_is_missed_at_import(pod: Pod) -> None:
    pod.add(ProviderImage((echo_wheel(provider="import nowhere\n"),)))

    done = pod.run()

    assert f"{who()}Reason: Module not found\n\nTraceback:\n    File" in done.err
    assert done.err.endswith(f"  ModuleNotFoundError: No module named 'nowhere'\n\n{NOT_FOUND}")


def test_import_that_wants_to_exit_fails(pod: Pod) -> None:
    pod.add(image("import-exits"))

    done = pod.run()

    assert done.status == 1
    assert done.err.startswith(f"{HEAD}{who()}Reason: Import failed: SystemExit\n\nTraceback:\n")
    assert done.err.endswith(f"\n  SystemExit: 0\n\n{NOT_IMPORTABLE}")


INVALID = "Reason: get_provider_spec() returned invalid data\n\n"
RETURN = "Resolution: Provider implementation must return ProviderSpec with {} field.\n"


def without(name: str) -> str:
    """The body of a function that returns a spec without this field."""
    return f"del FINE[{name!r}]; return Spec(**FINE)"


SPECS = {
    "none": ("return None", "Returned: None", "provider_type"),
    "no-type": (without("provider_type"), "Missing required field: provider_type", "provider_type"),
    "no-api": (without("api"), "Missing required field: api", "api"),
    "no-class": (without("config_class"), "Missing required field: config_class", "config_class"),
    "empty": ("return Spec(**{**FINE, 'api': ''})", "Missing required field: api", "api"),
    "dictionary": ("return FINE", "Missing required field: provider_type", "provider_type"),
    "empty-list": ("return []", f"None in the list of 0 is {ECHO_TYPE}", "provider_type"),
    "other-list": (
        "return [None, Spec(**{**FINE, 'provider_type': 'remote::x'})]",
        f"None in the list of 2 is {ECHO_TYPE}",
        "provider_type",
    ),
}


@pytest.mark.parametrize(("body", "details", "name"), SPECS.values(), ids=SPECS)
def test_spec_that_the_server_cannot_use_fails(
    pod: Pod, body: str, details: str, name: str
) -> None:
    pod.add(with_spec(body))

    done = pod.run()

    assert done.status == 1
    assert (
        done.err == done.log == (f"{SPEC_HEAD}{who()}{INVALID}{details}\n\n{RETURN.format(name)}")
    )


@pytest.mark.parametrize(
    ("provider", "reason", "last"),
    [
        (image("spec-raises"), "RuntimeError", "RuntimeError: no spec today"),
        (with_spec("exit()"), "SystemExit", "SystemExit: None"),
        (ProviderImage((echo_wheel(provider="", __init__=""),)), "AttributeError",
         "AttributeError: module 'echo_provider.provider' has no attribute 'get_provider_spec'"),
    ],
    ids=["raises", "exits", "absent"],
)  # fmt: skip
def test_spec_that_cannot_be_had_fails(
    pod: Pod, provider: ProviderImage, reason: str, last: str
) -> None:
    pod.add(provider)

    done = pod.run()

    assert done.status == 1
    assert done.err.startswith(
        f"{SPEC_HEAD}{who()}Reason: get_provider_spec() raised {reason}\n\nTraceback:\n"
    )
    assert done.err.endswith(
        f"  {last}\n\n"
        "Resolution: Make get_provider_spec() of echo_provider.provider return ProviderSpec.\n"
    )


def test_first_failure_ends_it_and_names_its_provider(pod: Pod) -> None:
    pod.add(with_spec("return Spec(**FINE)"), "first")
    other = Wheel("other", files={"other/__init__.py": "", "other/provider.py": "raise OSError\n"})
    pod.add(ProviderImage((other,), package="other"), "second")
    pod.enter("third", module="nowhere")

    done = pod.run()

    assert done.out == "Validating provider: first\nValidating provider: second\n"
    assert done.log.startswith(f"{HEAD}{who('second', 'other')}Reason: Import failed: OSError\n")


# --- metadata --------------------------------------------------------------------------------


def test_metadata_that_differs_is_a_warning(pod: Pod) -> None:
    pod.add(replace(image("good"), provider_type="remote::reverb"))

    done = pod.run()

    assert (done.status, done.out, done.log) == (0, SUCCESS, BEFORE)
    assert (
        done.err
        == """\
WARNING: Provider metadata mismatch (non-blocking)

Provider: my-echo

Field: provider_type
  Metadata (lls-provider-spec.yaml): remote::reverb
  Runtime (get_provider_spec()): remote::echo
  Using: remote::echo (runtime value)

Field: api
  Metadata (lls-provider-spec.yaml): inference
  Runtime (get_provider_spec()): inference
  Match ✓

Note: Update lls-provider-spec.yaml to match runtime implementation for mismatched fields.

"""
    )


BOMB = "spec:\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  {b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text", ["", "[" * 30_000, "a: b: c", "spec: 1", "\x00", f"{BOMB}  api: *i\n"],
    ids=["empty", "deep", "broken", "number", "binary", "bomb"],
)  # fmt: skip
def test_metadata_that_cannot_be_read_is_not_compared(pod: Pod, text: str) -> None:
    staged = pod.add(with_spec("return Spec(**FINE)"))
    (staged / "lls-provider-spec.yaml").write_text(text, encoding="utf-8")

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


def test_metadata_that_is_a_link_is_not_read(pod: Pod) -> None:
    staged = pod.add(replace(with_spec("return Spec(**FINE)"), api="safety"))
    metadata = staged / "lls-provider-spec.yaml"
    metadata.rename(pod.place / "elsewhere")
    metadata.symlink_to(pod.bed.inside(pod.place / "elsewhere"))

    assert pod.run() == Run(0, SUCCESS, "", BEFORE)


# --- messages and time -----------------------------------------------------------------------


def test_long_traceback_loses_its_middle(pod: Pod) -> None:
    """Neither what names the provider nor the last lines nor what to do about it is ever cut."""
    code = "def get_provider_spec():\n    raise ValueError('é' * 9000 + '\\x1b[0m\\n\\tthe end')\n"
    pod.add(ProviderImage((echo_wheel(provider=code),)))

    done = pod.run()

    head = f"{SPEC_HEAD}{who()}Reason: get_provider_spec() raised ValueError\n\nTraceback:\n"
    end = (
        "\n        the end\n\n"
        "Resolution: Make get_provider_spec() of echo_provider.provider return ProviderSpec.\n"
    )
    assert done.err.startswith(head)
    assert done.log.startswith(head)
    assert done.err.endswith(end)
    assert done.log.endswith(end)
    assert "\n[...]\n" in done.log
    assert len(done.log.encode()) > 4000
    assert "\x1b" not in done.err + done.log


def test_hostile_values_stay_in_their_line(pod: Pod) -> None:
    pod.enter("a\nERROR: b\x1b[0m", module="c\nd", provider_type="e")

    done = pod.run()

    assert done.err.startswith(
        f"{HEAD}Provider: a\\nERROR: b\\x1b[0m\nModule: c\\nd\nReason: Module not found\n"
    )


def test_import_that_hangs_is_named_and_ended(pod: Pod) -> None:
    pod.add(image("import-hangs"))

    done = pod.run("--timeout=1")

    assert done.status == 1
    assert done.err.startswith(f"{HEAD}{who()}Reason: Not finished after 1 s\n\nTraceback:\n")
    assert done.log.startswith(f"{HEAD}{who()}Reason: Not finished after 1 s\n\nTraceback:\n")
    assert done.log.endswith(
        "\n\nResolution: Remove what waits or computes from the import and from "
        "get_provider_spec().\n"
    )


def test_import_that_never_lets_go_is_ended(pod: Pod) -> None:
    """A regular expression that takes years, and no other thread runs meanwhile."""
    code = "import re\nre.match('(a+)+$', 'a' * 99 + 'b')\n"
    pod.add(ProviderImage((echo_wheel(__init__=code),)))

    done = pod.run("--timeout=1")

    assert done.status == 1
    assert done.log.startswith(f"{HEAD}{who()}Reason: Not finished after 1 s\n\nTraceback:\n")
    assert 'echo_provider/__init__.py", line 2 in <module>' in done.log


# --- code that takes the process with it -----------------------------------------------------


REMOVE = "Remove what ends the process from the import and from get_provider_spec()."
REBUILD = "Rebuild native extensions that crash (139), or raise the limit of memory (137)."
ENDS: dict[str, tuple[str, int, str]] = {
    "exits": ("import os\nos._exit(0)\n", 0, REMOVE),
    "exits-with-a-status": ("import os\nos._exit(3)\n", 3, REMOVE),
    "goes-to-the-background": ("import os\nif os.fork():\n    os.wait()\n    os._exit(0)\n", 0,
                               REMOVE),
    "crashes": ("import ctypes\nctypes.string_at(0)\n", 139, REBUILD),
    "is-killed": ("import os\nos.kill(os.getpid(), 9)\n", 137, REBUILD),
    "breaks-python": ("import sys\nsys.stdout = None\n", 1, REMOVE),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_provider_that_ends_the_process_fails_and_is_named(pod: Pod, case: str) -> None:
    code, status, resolution = ENDS[case]
    pod.add(ProviderImage((Wheel("fine", files=FINE_FILES),), package="fine"), "first")
    ending = {"ending/__init__.py": "", "ending/provider.py": code + FINE_FILES["fine/provider.py"]}
    pod.add(ProviderImage((Wheel("ending", files=ending),), package="ending"), "second")

    done = pod.run()

    assert done.status == (status or 1)
    assert done.log == (
        f"{HEAD}{who('second', 'ending')}"
        f"Reason: The process ended with status {status}\n\nResolution: {resolution}\n"
    )
    assert done.err.endswith(done.log)


def test_spec_whose_fields_want_to_exit_fails(pod: Pod) -> None:
    pod.add(with_spec("""
    class Exiting:
        @property
        def provider_type(self):
            raise SystemExit(0)
    return Exiting()"""))  # fmt: skip

    done = pod.run()

    assert done.status == 1
    assert "Missing required field: provider_type" in done.log


def test_provider_that_stops_the_clock_of_its_process_is_ended(pod: Pod) -> None:
    code = """
import faulthandler, time
faulthandler.cancel_dump_traceback_later()
time.sleep(300)
"""
    pod.add(ProviderImage((echo_wheel(__init__=code),)))

    done = pod.run("--timeout=0.5")

    assert done.status == 137
    assert done.log.startswith(f"{HEAD}{who()}Reason: Not finished after 0.5 s\n")
