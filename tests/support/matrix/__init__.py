# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The proof of the config engine: what it writes, the real server runs.

A case is a spec, a release of the server and what must be seen afterwards (``case``). The cases of
providers come out of the catalogue (``providers``), the others are written down (``features``). A
case is driven from the spec through the engine, the server's own classes and the booted server to
what arrived at endpoints and databases (``drive``), and its result is a row of
docs/compatibility.md (``report``).
"""
