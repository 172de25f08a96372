# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Files in the repository that are made from code: ``python -m tests.support.generated``.

They are committed, because people apply them without having Python; a test says when one of them
is out of date, and ``make crd`` makes all of them anew.
"""

from __future__ import annotations

from pathlib import Path

from api.crd import NAME, custom_resource_definition
from api.policy import documents as policy_documents
from configs.yamlio import dump, dump_all

ROOT = Path(__file__).parents[2]


def generated_files() -> dict[Path, str]:
    """The text of each file by its path."""
    return {
        ROOT / "deploy" / "crd" / f"{NAME}.yaml": dump(custom_resource_definition()),
        ROOT / "deploy" / "policy" / f"{NAME}.yaml": dump_all(policy_documents()),
    }


def main() -> None:
    """Write what is out of date, and say so."""
    for path, text in generated_files().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
