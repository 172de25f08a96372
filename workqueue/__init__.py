# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A rate-limited, de-duplicating, prioritised queue of keys; a library.

``core`` decides (no clock, no loop), ``queue`` waits (asyncio), ``ratelimit`` says how long a
failing key rests, ``metrics`` is what an owner may observe. It knows nothing of Kubernetes: a
key is anything hashable.
"""

from workqueue.core import LOW_PRIORITY, Item
from workqueue.metrics import NO_METRICS, QueueGauges, QueueMetrics
from workqueue.queue import RateLimitingQueue, ShutDown
from workqueue.ratelimit import MaxOf, PerKeyExponential, RateLimiter, TokenBucket

__all__ = [
    "LOW_PRIORITY",
    "NO_METRICS",
    "Item",
    "MaxOf",
    "PerKeyExponential",
    "QueueGauges",
    "QueueMetrics",
    "RateLimiter",
    "RateLimitingQueue",
    "ShutDown",
    "TokenBucket",
]
