# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Images of external providers as files on this machine.

What is said of them is in :mod:`configs.external.offline`.

==================  ==============================================================================
``source``          opens what a path names, whatever it is
``directory``       a directory
``archive``         an archive: of a root file system, or of an image with layers
``layers``          the files of layers, one over the other
``tar``             the members of a tar archive
==================  ==============================================================================

All of it is a stranger's data. Nothing is unpacked into the file system: a compressed archive is
decompressed into a file without a name, up to a limit.
"""
