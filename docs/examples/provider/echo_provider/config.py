# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What ``config`` of the resource may say."""

from pydantic import BaseModel


class EchoConfig(BaseModel):
    """The server makes it of ``config``, and refuses to start if that fails."""

    prefix: str = "echo: "
