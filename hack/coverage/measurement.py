# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the tests of one pytest process execute, by test file.

To tell test files apart costs next to nothing, because the tests of a file run one after another;
to tell single tests apart does not. What runs while tests are collected belongs to no file: an
import alone reaches it.

What is measured, and where the data go, is in ``pyproject.toml``. Programs that a test starts are
not measured.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from coverage import Coverage

from hack.coverage import plugin


class Measurement:
    """Hooks of pytest around the measuring, which begins with the constructor.

    Under xdist each worker measures into a data file of its own; the process that hands out the
    tests only removes the data of earlier runs.
    """

    def __init__(self) -> None:
        self._coverage = Coverage()
        self._test_file = ""
        self._coverage.start()

    def pytest_configure(self, config: pytest.Config) -> None:
        """Decide what this process has to do."""
        if not hasattr(config, "workerinput"):
            Coverage().erase()
            if config.getoption("dist", "no") != "no":
                self._coverage.stop()
                config.pluginmanager.unregister(self)
                return
        # Or a test that starts pytest would remove the data of this run.
        del os.environ[plugin.WANTED]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Attribute what is executed from here on to the file of the test."""
        test_file = item.path.relative_to(item.config.rootpath).as_posix()
        if test_file != self._test_file:
            self._test_file = test_file
            self._coverage.switch_context(test_file)
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the data: after this hook, xdist may end a worker at any time."""
        self._coverage.stop()
        self._coverage.save()
