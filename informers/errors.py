# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What can go wrong when talking to the Kubernetes API, as types.

::

    ApiError
    ├── TransportError              no answer: DNS, refused, reset, TLS, time-out
    │   └── DeadlineExceeded        no answer in the time that was given
    ├── ProtocolError               not what the API promises: HTML, cut in mid-line
    │   └── LineTooLong             one watch event beyond the configured maximum
    └── StatusError                 an answer with a failure status
        ├── BadRequest 400
        ├── Unauthorized 401
        ├── Forbidden 403
        │   └── NamespaceTerminating    nothing can be created where everything is deleted
        ├── NotFound 404
        ├── Conflict 409            the resourceVersion or uid moved on
        │   ├── AlreadyExists       reason AlreadyExists
        │   └── FieldManagerConflict    server-side apply without force
        ├── Gone 410                reason Gone or Expired
        ├── Invalid 422
        │   └── ImmutableField      a field that can only be set at creation
        ├── TooManyRequests 429
        │   └── Initializing        a kind that is about to be served
        └── ServerError 5xx
            ├── ResourceVersionTooLarge  the server has not seen that version (yet)
            ├── MalformedApply      our own bug, which the server reports as 500
            └── MisfitStored        what is stored does not fit its own schema any more

The tree lives in the lowest layer that needs it; ``llamastack_operator.kube.classify`` builds
its members from HTTP answers. Callers match types, never status numbers or texts.
No error carries a response body: a body may hold a Secret.
"""

from __future__ import annotations


class ApiError(Exception):
    """Anything that kept a Kubernetes API call from succeeding."""


class TransportError(ApiError):
    """No answer arrived. The request may or may not have been carried out."""


class DeadlineExceeded(TransportError):
    """No answer arrived in time. The request may or may not have been carried out."""


class ProtocolError(ApiError):
    """The answer is not what the Kubernetes API promises."""


class LineTooLong(ProtocolError):
    """One line of a watch stream is longer than the configured maximum (bytes)."""


class StatusError(ApiError):
    """The API server answered with a failure.

    Attributes:
        code: HTTP status code.
        reason: ``Status.reason``, e.g. ``NotFound``; empty if the body was no Status object.
        message: ``Status.message``, or a short description of the answer.
        retry_after: seconds the server asked to wait, or ``None``.
        causes: ``Status.details.causes`` as (reason, field, message) triples.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int,
        reason: str = "",
        retry_after: float | None = None,
        causes: tuple[tuple[str, str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.retry_after = retry_after
        self.causes = causes


class BadRequest(StatusError):
    """400: the request itself is wrong; repeating it cannot help."""


class Unauthorized(StatusError):
    """401: the credentials were not accepted."""


class Forbidden(StatusError):
    """403: authenticated, but not allowed. The message names verb and resource."""


class NamespaceTerminating(Forbidden):
    """403 with cause NamespaceTerminating: all that is in the namespace is being deleted."""


class NotFound(StatusError):
    """404: no such object, or no such resource."""


class Conflict(StatusError):
    """409: the object changed since it was read (resourceVersion or uid precondition)."""


class AlreadyExists(Conflict):
    """409 with reason AlreadyExists: somebody created it first."""


class FieldManagerConflict(Conflict):
    """409 of a server-side apply without force: another manager owns a field."""


class Gone(StatusError):
    """410: the resourceVersion or continue token is too old (reasons Gone and Expired)."""


class Invalid(StatusError):
    """422: the object breaks a rule of its schema or of admission."""


class ImmutableField(Invalid):
    """422 that names a field which can only be set when the object is created."""


class TooManyRequests(StatusError):
    """429: API Priority and Fairness asks for patience; honour ``retry_after``."""


class Initializing(TooManyRequests):
    """429: the server prepares to serve the kind, as it does after its definition was installed."""


class ServerError(StatusError):
    """5xx: the server failed; the request may or may not have been carried out."""


class ResourceVersionTooLarge(ServerError):
    """504 with cause ResourceVersionTooLarge: e.g. etcd was restored from a backup."""


class MalformedApply(ServerError):
    """500 "failed to create typed patch object": our own bug, repeating it cannot help."""


class MisfitStored(ServerError):
    """500 "failed to create typed live object": an apply cannot merge with what is stored."""
