# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the API server asks the operator: conversion between versions, and whether to take a write.

================  ===========================================================================
``review``        the wire format: reviews in, reviews out; pure
``admission``     what a write is refused for and what it is not; pure
``references``    what needs the cluster: Secrets and ConfigMaps exist, with their keys
``validating``    one admission review from its body to its answer, in time
``converting``    one conversion review, in slices of time
``server``        HTTP over TLS: limits, deadlines, metrics
``tls``           the certificate that new connections get, exchanged without a restart
``certificates``  where that certificate comes from, and who trusts it
``serving``       all of it, as the manager starts and stops it
================  ===========================================================================

Every replica serves, leader or not, from before its caches are filled until after its last write:
a cache of a resource that is stored in another version fills through the conversion (D1).
"""
