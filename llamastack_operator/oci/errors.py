# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What can keep us from an image's config, as types with messages that say what to do.

::

    RegistryError
    ├── Unavailable          another try may help: DNS, refused, reset, 5xx, 429
    │   └── DeadlineExceeded the registry is too slow, or silent
    ├── Untrusted            TLS: the certificate is not one that we trust
    ├── Unauthorized         401 or 403 with everything we had
    ├── ImageNotFound        404
    ├── BadReference         not an image reference
    ├── BadAnswer            the registry does not keep to its protocol, or a digest does not fit
    ├── TooLarge             more than we read
    └── BadLabel             the labels, or the config that they lead to, cannot be used

The messages end up in the status of a resource, which its author reads. They hold facts that the
author may know: the image, names of Secrets, an HTTP status, a well-known error code. Never a body
or a header, because an author may point us at a server that only the operator can reach.
"""

from __future__ import annotations

from api.v1alpha2.reasons import Reason


class RegistryError(Exception):
    """Anything that kept us from an image's config.

    Attributes:
        reason: for the condition ConfigGenerated.
        transient: whether it is likely to pass without anybody's doing.
        retry_after_s: how long the registry asked us to wait; 0 for no such wish.
    """

    reason: Reason = Reason.IMAGE_CONFIG_UNAVAILABLE
    transient: bool = False

    def __init__(self, message: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(RegistryError):
    """No answer, or one that says "not now"."""

    transient = True


class DeadlineExceeded(Unavailable):
    """No answer in time."""


class Untrusted(RegistryError):
    """TLS failed: a private CA, a wrong name, an expired certificate."""


class Unauthorized(RegistryError):
    """Not allowed to see the image."""


class ImageNotFound(RegistryError):
    """There is no such image."""


class BadReference(RegistryError):
    """Not an image reference."""

    reason = Reason.CONFIG_GENERATION_FAILED


class BadAnswer(RegistryError):
    """Not what the distribution specification promises."""


class TooLarge(RegistryError):
    """More than we are ready to read."""


class BadLabel(RegistryError):
    """A label, or what it leads to, cannot be used. Only another image helps."""

    reason = Reason.CONFIG_GENERATION_FAILED

    def __init__(self, message: str, *, reason: Reason = Reason.CONFIG_GENERATION_FAILED) -> None:
        super().__init__(message)
        self.reason = reason
