# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``docs/examples/provider`` is an image that the operator takes, and its script builds it.

Nothing is fetched: what the example depends on is made here.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from configs.external import inside, metadata
from configs.external.metadata import Metadata
from hack.root import ROOT
from llamastack_operator.__main__ import main
from tests.support.provider_wheels import Wheel

EXAMPLE = ROOT / "docs" / "examples" / "provider"
SERVER_PACKAGES = "Annotated_Types==0.7.0\npydantic==2.12.0\nllama_stack_api==0.7.3\n"
DEPENDENCIES = (
    Wheel("humanize", "4.12.0", {"humanize.py": ""}),
    Wheel("pydantic", "2.12.0", {"pydantic.py": ""}, requires=("annotated-types",)),
    Wheel("pydantic", "2.99.0", {"pydantic.py": ""}),
    Wheel("annotated-types", "0.7.0", {"annotated_types.py": ""}),
    Wheel("llama-stack-api", "0.7.3", {"llama_stack_api.py": ""}),
)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A copy of the example beside what it depends on."""
    build = tmp_path / "build"
    shutil.copytree(EXAMPLE, build, ignore=shutil.ignore_patterns("__pycache__"))
    (build / "server-packages.txt").write_text(SERVER_PACKAGES, encoding="utf-8")
    (tmp_path / "index").mkdir()
    for wheel in DEPENDENCIES:
        (tmp_path / "index" / wheel.filename).write_bytes(wheel.build())
    return build


def package(build: Path) -> subprocess.CompletedProcess[str]:
    """Run the script, offline, with this Python and the backend that it has."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(build.parent),
        "PYTHON": sys.executable,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(build.parent / "index"),
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # which means: without isolation
    }
    command = ["sh", str(build / "package.sh")]
    return subprocess.run(
        command, env=environment, cwd=build.parent, capture_output=True, text=True, check=False
    )


def described(files: tuple[str, ...] | None = None) -> Metadata:
    """The metadata of the example, as the merge reads it."""
    return metadata.parse((EXAMPLE / "lls-provider-spec.yaml").read_bytes(), files=files)


def project() -> dict[str, Any]:
    """Its ``pyproject.toml``."""
    found: dict[str, Any] = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))
    return found


def functions(path: Path) -> Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a module, which is not imported: it needs a server."""
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 11))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name: node for node in tree.body if isinstance(node, kinds)}


def spec_arguments() -> dict[str, str]:
    """What ``get_provider_spec`` makes the spec of; a name of the server as its source."""
    module = EXAMPLE / described().module / "provider.py"
    (returned,) = (
        node.value
        for node in ast.walk(functions(module)["get_provider_spec"])
        if isinstance(node, ast.Return)
    )
    assert isinstance(returned, ast.Call)
    return {
        str(word.arg): str(word.value.value)
        if isinstance(word.value, ast.Constant)
        else ast.unparse(word.value)
        for word in returned.keywords
    }


# --- what is written twice is the same --------------------------------------------------------


def test_metadata_is_right_and_warns_of_nothing() -> None:
    assert described().warnings == ()


def test_metadata_is_that_of_the_project() -> None:
    found, named = described(), project()["project"]

    assert (found.name, found.version) == (named["name"], named["version"])
    stem = f"{named['name'].replace('-', '_')}-{named['version']}"
    assert found.wheel == f"packages/{stem}-py3-none-any.whl"
    assert project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [found.module]


def test_spec_is_that_of_the_metadata() -> None:
    found, said = described(), spec_arguments()

    assert said["provider_type"] == found.provider_type
    assert said["api"] == f"Api.{found.api}"
    assert said["module"] == found.module
    assert found.provider_type == f"remote::{said['adapter_type']}"


def test_adapter_is_where_the_spec_says() -> None:
    said = spec_arguments()
    module, _, name = said["config_class"].rpartition(".")
    source = (EXAMPLE / f"{module.replace('.', '/')}.py").read_text("utf-8")
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]

    adapter = functions(EXAMPLE / said["module"] / "__init__.py")["get_adapter_impl"]

    assert name in classes
    assert [argument.arg for argument in adapter.args.args] == ["config", "_deps"]


def test_server_is_no_dependency_of_the_package() -> None:
    names = [re.split(r"\W", text)[0] for text in project()["project"]["dependencies"]]

    assert "humanize" in names
    assert [name for name in names if name.startswith(("llama", "ogx"))] == []


# --- the script -------------------------------------------------------------------------------


def test_script_builds_the_package_and_leaves_out_what_the_server_has(build: Path) -> None:
    (build / "packages").mkdir()
    (build / "packages" / "of_an_earlier_run-1.0-py3-none-any.whl").touch()

    done = package(build)

    assert done.returncode == 0, done.stderr
    wheels = sorted(path.name for path in (build / "packages").iterdir())
    assert wheels == ["echo_provider-1.0.0-py3-none-any.whl", "humanize-4.12.0-py3-none-any.whl"]
    assert re.findall("has it: (.*)", done.stdout) == [
        "annotated_types-0.7.0-py3-none-any.whl",
        "pydantic-2.12.0-py3-none-any.whl",
    ]
    assert described(tuple(f"packages/{name}" for name in wheels)).warnings == ()
    with zipfile.ZipFile(build / "packages" / wheels[0]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {
        f"echo_provider/{path.name}" for path in (EXAMPLE / "echo_provider").glob("*.py")
    }


def test_what_the_script_builds_is_installed(build: Path, tmp_path: Path) -> None:
    assert package(build).returncode == 0
    root = tmp_path / "image"
    (root / "lls-provider").mkdir(parents=True)
    shutil.copytree(build / "packages", root / "lls-provider" / "packages")
    shutil.copy(build / "lls-provider-spec.yaml", root / "lls-provider")
    script = Path(inside.__path__[0]) / "install.py"
    target = tmp_path / "target"
    environment = {
        "PROVIDER_ROOT": str(root),
        "INSTALL_TARGET": str(target),
        "TERMINATION_LOG": os.devnull,
    }

    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert (target / "packages" / "echo_provider" / "provider.py").is_file()
    assert (target / "packages" / "humanize.py").is_file()


def test_what_the_script_builds_has_nothing_wrong(
    build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checked as the page says it, with what the page shows."""
    assert package(build).returncode == 0
    page = (ROOT / "docs" / "provider-development.md").read_text("utf-8")
    session = re.search(r"```console\n\$ python -m llamastack_operator (.*)\n([^`]*)```", page)
    assert session
    place = str(EXAMPLE.relative_to(ROOT))

    status = main(session[1].replace(place, str(build)).split())

    said = capsys.readouterr()
    assert status == 0
    assert said.err + said.out == session[2].replace(place, str(build))


def _rename_wheel(build: Path) -> None:
    spec = build / "lls-provider-spec.yaml"
    spec.write_text(spec.read_text("utf-8").replace("-1.0.0-py3", "-2.0.0-py3"), encoding="utf-8")


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda build: (build / "server-packages.txt").unlink(), "server-packages.txt is missing"),
        (_rename_wheel, "echo_provider-2.0.0-py3-none-any.whl, which was not built"),
        (lambda build: (build.parent / "index" / DEPENDENCIES[0].filename).unlink(), "humanize"),
    ],
    ids=["no list", "another wheel", "no dependency"],
)
def test_script_says_what_is_wrong(
    build: Path, break_it: Callable[[Path], None], said: str
) -> None:
    break_it(build)

    done = package(build)

    assert done.returncode != 0
    assert said in done.stderr


def test_containerfile_puts_things_where_they_are_looked_for() -> None:
    text = (EXAMPLE / "Containerfile").read_text("utf-8")

    last = text[text.rindex("\nFROM ") :]

    assert "COPY lls-provider-spec.yaml /lls-provider/\n" in last
    assert "COPY --from=build /build/packages /lls-provider/packages\n" in last
    assert "sh package.sh" in text
