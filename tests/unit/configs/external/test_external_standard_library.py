# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Files of packages that would run instead of Python's own modules."""

from __future__ import annotations

import pytest

from configs.external.standard_library import hiding


@pytest.mark.parametrize(
    "path",
    [
        "json.py",
        "json.pyc",
        "zlib.cpython-312-x86_64-linux-gnu.so",
        "asyncio/__init__.py",
        "asyncio/__init__.cpython-312-x86_64-linux-gnu.so",
        "sitecustomize.py",
        "usercustomize/__init__.py",
    ],
)
def test_module_of_python_is_hidden(path: str) -> None:
    assert list(hiding([path]).values()) == [(path,)]


@pytest.mark.parametrize(
    "path",
    [
        "my_json.py",
        "my/json.py",
        "json.txt",
        "json.pyi",
        "json-1.0.dist-info/METADATA",
        "html/index.html",  # a namespace package, which a module of Python comes before
        "concurrent/log.py",
        "test/__init__.py",
        "cgi.py",  # no longer in every Python
        "distutils/__init__.py",
        "_json_of_mine.py",
    ],
)
def test_nothing_is_hidden(path: str) -> None:
    assert hiding([path]) == {}


def test_package_goes_as_a_whole() -> None:
    files = ["email/a/b.py", "email/__init__.py", "email/data.txt", "types.py", "own/types.py"]

    assert hiding(files) == {
        "email": ("email/__init__.py", "email/a/b.py", "email/data.txt"),
        "types": ("types.py",),
    }
