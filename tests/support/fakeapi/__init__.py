# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""An API server in memory, and the operator's own client of it.

| module | is |
|---|---|
| `server` | the objects, and every call on them |
| `client` | the real client with delays and faults in place of a network |
| `caches` | the operator's caches, fed from it |
| `operator` | the reconciler with everything it stands on |
| `calls`, `discovery` | HTTP requests as calls, and questions about the API itself |
| `field_sets`, `managed_fields` | server-side apply |
| `merge_schema` | how each kind merges, as the API server's OpenAPI documents say |
| `objects`, `rules` | what happens to any object on its way into the store, and to single kinds |
| `patches`, `failures` | JSON patches and merge patches; refusals |

History and watches are those of ``tests.support.fakecluster``, one for each kind.
"""
