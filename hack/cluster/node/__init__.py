# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A real node beside the control plane: kubelet, containerd, runc, kube-proxy, CoreDNS.

``programs`` obtains what it needs, ``requirements`` says what a machine lacks, ``config`` writes
the programs' configuration, ``inside`` is the node's first process, ``network`` and ``cgroups``
join it to this machine, and ``node`` puts these together. ``python -m hack.cluster.node`` is the
same by hand. It needs Linux and root.

The node is a set of namespaces (network, mount, PID), as if it were a container: its interfaces,
firewall rules, mounts and processes exist only in there, and the kernel removes all of it when
the first process in there ends. On this machine one sees a pair of virtual interfaces, a route to
the Pods, and cgroups; those go with ``Node.down``, or by the keeper if we are killed.

This module imports none of them, for the keeper's sake.
"""
