# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a test run does on a machine that cannot have the servers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hack.root import ROOT

_TEST = "hack/tests/test_bed.py::test_redis_answers_to_its_password_only"


def _pytest(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one test that needs the servers, with neither a Python for them nor any tool."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", _TEST],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_servers_a_test_fails_with_the_line_that_says_what_to_do(tmp_path: Path) -> None:
    result = _pytest(tmp_path)

    assert "Traceback" not in result.stdout
    assert "No servers: " in result.stdout
    if os.getuid() == 0:
        assert result.returncode == 1
        assert "debootstrap" in result.stdout
        assert "install it" in result.stdout
    else:  # the operator itself runs on this Python
        assert result.returncode == 0
        assert "need Python 3.12 or later" in result.stdout


def test_offline_skips_the_servers_on_purpose(tmp_path: Path) -> None:
    result = _pytest(tmp_path, LLAMASTACK_OPERATOR_TESTS="offline")

    assert result.returncode == 0
    assert "LLAMASTACK_OPERATOR_TESTS=offline: no servers" in result.stdout
    assert "1 skipped" in result.stdout
