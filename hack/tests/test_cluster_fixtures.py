# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What a test run does on a machine that cannot have a control plane."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hack.root import ROOT

_TEST = "hack/tests/test_control_plane.py::test_unknown_user_is_forbidden_and_audited"


def _pytest(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one test that needs the control plane, with an old Go and no way out."""
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go1.19.8\n")
    go.chmod(0o755)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", _TEST],
        cwd=ROOT,
        env={
            "PATH": f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "HTTPS_PROXY": "http://127.0.0.1:9",  # refused at once: no release can be reached
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_programs_a_test_fails_with_the_line_that_says_what_to_do(tmp_path: Path) -> None:
    result = _pytest(tmp_path)

    assert result.returncode == 1
    assert "1 error" in result.stdout
    assert "No control plane: " in result.stdout
    assert "install Go 1.26 or newer" in result.stdout
    assert "Traceback" not in result.stdout


def test_offline_skips_on_purpose(tmp_path: Path) -> None:
    result = _pytest(tmp_path, LLAMASTACK_OPERATOR_TESTS="offline")

    assert result.returncode == 0
    assert "LLAMASTACK_OPERATOR_TESTS=offline: no control plane" in result.stdout
    assert "1 skipped" in result.stdout
