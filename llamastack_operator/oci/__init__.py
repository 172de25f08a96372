# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Configs out of image labels: a small asynchronous client of the OCI distribution API (FR-027f).

Every module but the last three is a core without I/O:

================  ============================================================================
``reference``     image reference → registry, repository, tag or digest
``errors``        what can go wrong, in words that say what to do
``challenge``     WWW-Authenticate → where to get a token
``keyring``       pull secrets → credentials, matched as the kubelet does it
``manifests``     index, manifest, config blob → the next digest, the labels
``labels``        labels → the config, or the layer and path where it is
``layer``         one file out of a layer, in small steps
``answer_cache``  what is known of which image, for how long; who waits for it
``http``          requests with a deadline, a size limit and careful redirects
``client``        one image: authenticate, walk from the tag to the config, check every digest
``secrets``       reads pull secrets for one question
``resolver``      implements ``planning.image_configs``: answers at once, asks later
================  ============================================================================
"""
