# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Where the webhooks' certificate comes from, and who trusts it.

=============  ==============================================================================
``pair``       a certificate with its key, and what can be told of certificates; pure
``state``      what is stored and the time: is it good, what has to be made again; pure
``issuing``    makes authorities and certificates
``ca_bundle``  what has to change in an object that names the webhooks; pure
``vault``      where all replicas find the same pair: a Secret
``keeper``     keeps the Secret, what is served, and the CA bundles right
``files``      a pair that somebody else keeps, in a folder
=============  ==============================================================================

All replicas share one Secret with the authority and the certificate that it signed. Each of them
may write it, and only from the version that it has seen, so whoever comes second finds what the
first one made. A certificate of a new authority is served when the API server has been told of that
authority, and the old one is trusted for a while after it: nobody is refused for a renewal.
"""
