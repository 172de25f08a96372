# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Inside a server's environment: an encoding of single bytes instead of a downloaded vocabulary.

With a vector_io provider llama-stack loads tiktoken's ``cl100k_base`` when it boots, and dies where
the internet is out of reach. Tests are about configs and not about how text is cut, so a server
that is started with ``LLAMASTACK_BED_TOKENIZER=bytes`` gets an encoding that needs no download.
``byte_tokenizer.pth``, which Python reads as it starts, imports this.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any


def install() -> None:
    """Replace ``tiktoken.get_encoding``, if there is tiktoken."""
    if importlib.util.find_spec("tiktoken") is None:
        return
    tiktoken: Any = importlib.import_module("tiktoken")

    def bytewise(name: str) -> Any:
        ranks = {bytes([value]): value for value in range(256)}
        return tiktoken.Encoding(
            name=name, pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens={}
        )

    tiktoken.get_encoding = bytewise


install()
