# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What can be said of an image of an external provider before any pod starts; pure.

==================  ==============================================================================
``contents``        an image as a tree of files, with links that lead within it
``wheels``          what pip would make of one wheel
``staging``         what pip would make of several
``target``          the platform and the Python that wheels are for
``natives``         whether libraries in wheels can be loaded there
``modules``         whether a module could be imported
``installer``       whether the image can run the installer
``check``           all of it, for one image
``requirements``    whether packages get what they require
``together``        several images in one server
``messages``        what the programs in a pod say of the same mistakes
==================  ==============================================================================

The rules are those of the programs that run in a pod: ``install.py`` and ``preflight.py``, which
import nothing of ours and so cannot share code with it, and the merge, whose code this is. A test
holds the messages against what the programs say.
"""
