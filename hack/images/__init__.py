# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Container images for the real node, made without a registry on the internet.

``base`` makes a stand-in for ``python:3.13-slim`` out of Debian's packages, ``operator`` builds
this project's own image from its Containerfile, ``server`` puts the real llama-stack into one, and
``probe`` wraps a program of twenty lines. Each is a docker archive in the user's cache, found again
by a hash of all that it is made of. ``python -m hack.images`` is the same by hand.

Making them needs Debian's packages, a Python index and root; using them needs none of it.
"""
