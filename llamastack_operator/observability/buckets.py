# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Upper bounds of histograms, in seconds. Upstream's where there is one: dashboards know them."""

from __future__ import annotations

from typing import Final

# controller-runtime, pkg/metrics/workqueue.go: ExponentialBuckets(10e-9, 10, 12)
QUEUE: Final = tuple(10.0**exponent for exponent in range(-8, 4))

# controller-runtime, pkg/internal/controller/metrics/metrics.go
RECONCILE: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8),
    *(0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25),
    *(30, 40, 50, 60),
)

# client_golang, DefBuckets, which pkg/webhook/internal/metrics of controller-runtime uses
WEBHOOK: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# k8s.io/component-base, metrics/prometheus/restclient/metrics.go
REQUEST: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)

LAG: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LIST: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
