# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""cert-manager beside a control plane, so that ``deploy/cert-manager`` can be tried with it.

``programs`` builds its controllers and its injector from their Go module, and ``running`` runs them
as one process that works as an administrator. Its own admission webhook is left out: it only checks
what people write, and nobody writes anything here but what ``deploy/cert-manager`` has.
"""
