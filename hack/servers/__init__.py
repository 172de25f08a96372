# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Real servers for tests: llama-stack at several releases, Redis, PostgreSQL and a registry.

What the operator writes into a ``config.yaml`` is judged by the program that reads it, so that
program has to be here. ``make servers`` (``install``) puts it into the user's cache once: one
virtual environment for each release of the server (``releases``), made of exactly what its lock
file lists (``locks``), and the programs that its storage talks to, from Debian's packages
(``debian``). ``bed`` says where everything is; the rest starts it:

* ``server``: boots ``llama stack run`` (or ``ogx run``) with a config and asks it questions;
* ``validator``: checks a config in milliseconds with the server's own classes, without booting;
* ``endpoint``: a stand-in for the inference endpoint that writes down what it was asked;
* ``services``: Redis, PostgreSQL and a container registry.

By hand: ``python -m hack.servers``. Everything that is started belongs to the process that
started it and ends with it, even if that one is killed (``household``).
"""
