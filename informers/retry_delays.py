# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""How long a reflector waits after a failure. Pure.

Most failures are answered by the back-off that everybody shares (A11). A kind that is not served,
or not served yet, has a short one of its own: its definition is installed by somebody who waits
for what comes of it, and the server answers such a request without asking its database.
"""

from __future__ import annotations

from informers.backoff import INITIAL_S, Backoff, Rng
from informers.errors import ApiError, Initializing, NotFound, StatusError

UNSERVED_CAP_S = 2.5
"""Before jitter, so that a kind is looked for again within 5 s."""


class RetryDelays:
    """Delays between attempts.

    Args:
        rng: source of the jitter.
        initial_s: first delay, in seconds.
    """

    def __init__(self, *, rng: Rng, initial_s: float = INITIAL_S) -> None:
        self._usual = Backoff(rng=rng, initial_s=initial_s)
        self._unserved = Backoff(rng=rng, initial_s=initial_s, cap_s=UNSERVED_CAP_S)

    def next(self, now: float) -> float:
        """Seconds to wait after an answer that cannot be used."""
        return self._usual.next(now)

    def after(self, error: ApiError, now: float) -> float:
        """Seconds to wait after an error; never less than what the server asked for."""
        asked = error.retry_after if isinstance(error, StatusError) else None
        unserved = isinstance(error, Initializing | NotFound)
        return (self._unserved if unserved else self._usual).next(now, at_least=asked or 0.0)
