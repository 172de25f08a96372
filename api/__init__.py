# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The custom resource as data: models, schema, CRD, policy, validation; no I/O.

One pydantic model a version is the single source of what users may write. Everything else is
derived from it, so the parts cannot disagree:

==================  =========================================================================
``api.v1alpha2``    the models; :func:`api.v1alpha2.parse` reads an object into them
``api.v1alpha1``    the models of the Go operator's version, for its schema
``api.schema``      pydantic's JSON schema → the structural schema that the API server takes
``api.crd``         the CustomResourceDefinition around it
``api.policy``      a ValidatingAdmissionPolicy for the nodes that a schema cannot describe
``api.validation``  the same rules in Python, all errors at once, for webhook, reconciler, CLI
``api.v1alpha2.references``  which Secrets and ConfigMaps a resource names, and where
==================  =========================================================================

Objects are read with these models and never written back from them: fields that a newer version
added would be lost. The operator writes status and children only.
"""

from typing import Final

GROUP: Final = "llamastack.io"
"""API group. Part of every stored object: never changes."""

KIND: Final = "LlamaStackDistribution"
"""Kind of the custom resource."""

PLURAL: Final = "llamastackdistributions"
"""Path segment of the custom resource; with the group it is the name of the CRD."""

SINGULAR: Final = "llamastackdistribution"
"""What ``kubectl get`` also accepts."""

SHORT_NAMES: Final = ("llsd",)
"""What people type."""

VERSION: Final = "v1alpha2"
"""Hub and storage version (R-D1)."""

OLD_VERSION: Final = "v1alpha1"
"""The Go operator's version, still served."""

VERSIONS: Final = (OLD_VERSION, VERSION)
"""All that are served, the oldest first."""

ANNOTATIONS: Final = {version: f"{GROUP}/{version}-fields" for version in VERSIONS}
"""Version → annotation with what the other version cannot say of it (``api.conversion``)."""

TOO_LARGE: Final = "too-large"
"""Value of a label of the annotation's name, on a view in the old version without what that version
cannot say: there was no room for it."""

OGX_GROUP: Final = "ogx.io"
"""API group of the Go operator since its project was renamed."""

OGX_KIND: Final = "OGXServer"
"""Kind of its resource."""

OGX_VERSION: Final = "v1beta1"
"""Version of it that can be converted."""
