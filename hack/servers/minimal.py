# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The least that a server boots on."""

from __future__ import annotations

import textwrap

from hack.servers.releases import Release


def minimal(release: Release, *, more: str = "") -> str:
    """A config that every release takes, with its own words for what has changed its kind."""
    late = (
        "backend: sql_default, table_name"
        if release.era == "ogx"
        else "backend: kv_default, namespace"
    )
    return textwrap.dedent(
        f"""\
        version: 2
        image_name: test
        apis: [inference]
        providers:
          inference:
          - provider_id: vllm
            provider_type: remote::vllm
            config: {{base_url: "${{env.URL}}", api_token: "${{env.TOKEN}}"{more}}}
        storage:
          backends:
            kv_default: {{type: kv_sqlite, db_path: "${{env.RUN_DIR}}/kv.db"}}
            sql_default: {{type: sql_sqlite, db_path: "${{env.RUN_DIR}}/sql.db"}}
          stores:
            metadata: {{backend: kv_default, namespace: registry}}
            inference: {{backend: sql_default, table_name: inference}}
            conversations: {{backend: sql_default, table_name: conversations}}
            prompts: {{{late}: prompts}}
        """
    )
