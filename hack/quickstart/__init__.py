# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``make run``: from nothing to a resource that is Ready, shown while it happens.

``clusters`` gives a cluster: the one that ``KUBECONFIG`` names, or one of our own. ``road`` says
what changed in a status, without I/O, ``screen`` shows it, ``guide`` says what to try next,
``follow`` joins them to a watch, and ``__main__`` puts all of it in order and ends it again.
"""
