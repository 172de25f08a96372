# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Resources that break one rule each, resources that break none, and who has to notice.

The same tables are given to ``api.validation`` and to a real API server with the CRD and the
policy: that is what keeps the three of one opinion and of the same words.
"""

from __future__ import annotations

from tests.support.apicase import SECRET, VLLM, Case, Json, resource
from tests.support.apicases_cel import CEL
from tests.support.apicases_good import GOOD
from tests.support.apicases_open import POLICY, PYTHON
from tests.support.apicases_schema import SCHEMA

__all__ = ["BAD", "GOOD", "PYTHON", "SECRET", "VLLM", "Case", "Json", "resource"]

BAD = (*SCHEMA, *CEL, *POLICY, *PYTHON)
