# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Makes configs/data/catalogue.json from the installed servers: ``make catalogue``.

``dump`` asks a server, ``rules`` reads a provider out of the answer, ``maker`` puts releases
together.
"""
