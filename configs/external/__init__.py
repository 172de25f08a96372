# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""External providers: images whose packages are installed when a pod starts; pure.

==================  ==============================================================================
``paths``           where things are in a pod and in a provider's image
``containers``      names of the init containers
``entries``         what the resource says of the providers, as the merge gets it
``metadata``        what an image says of its provider
``merge``           both, laid over the base configuration
``distributions``   what pip installed for one provider
``selection``       which version of a distribution runs where providers bring several
``packages``        which files of whom make the one tree of packages
``failures``        why a provider cannot be used, as a message of bounded length
``messages``        all texts: failures, warnings, lines of the log
``inside``          the programs that run in images of others, which import nothing of ours
==================  ==============================================================================

It starts with every pod, so nothing here imports pydantic.
"""
