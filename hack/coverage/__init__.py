# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the tests below a real API server execute: by branch, by module, by test file.

| module | does |
|---|---|
| `plugin`, `measurement` | measure a run of the tests: a plug-in of pytest |
| `reader` | data of coverage → modules |
| `modules` | a module, its figures, the tests that reach it and those that should |
| `exceptions` | modules that have no tests of their own level, and why |
| `figures` | the figures that may not fall, in `figures.json` |
| `report` | all of it as text |
"""
