# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Files in the repository that are made from code: ``python -m hack.generated``.

They are committed, because people read and apply them without having Python; a test says when one
of them is out of date, and ``make crd`` makes all of them again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from api.crd import NAME, custom_resource_definition
from api.policy import documents as policy_documents
from api.webhook import validating_webhook_configuration
from configs.yaml_reader import dump, dump_all
from hack.api_reference import api_reference, old_api_reference
from hack.bundle import bundle
from hack.crd_differences import differences_table
from hack.provider_table import provider_table
from hack.root import ROOT
from llamastack_operator.settings import FLAGS

_BEGIN = "<!-- made by `make crd` -->\n"
_END = "<!-- end -->\n"


def generated_files() -> dict[Path, str]:
    """The text of each file by its path."""
    docs = ROOT / "docs"
    operations = docs / "operations.md"
    configuration = docs / "configuration.md"
    migration = docs / "migration-v1alpha1-to-v1alpha2.md"
    deploy = ROOT / "deploy"
    bases = {
        deploy / "crd" / f"{NAME}.yaml": dump(custom_resource_definition()),
        deploy / "policy" / f"{NAME}.yaml": dump_all(policy_documents()),
        deploy / "webhook" / f"{NAME}.yaml": dump(validating_webhook_configuration()),
    }
    return {
        **bases,
        deploy / "install.yaml": bundle(deploy / "default", bases),
        docs / "api-reference.md": api_reference(),
        docs / "api-reference-v1alpha1.md": old_api_reference(),
        operations: _with(operations.read_text("utf-8"), _flags()),
        configuration: _with(configuration.read_text("utf-8"), provider_table()),
        migration: _with(migration.read_text("utf-8"), differences_table()),
    }


def _with(page: str, made: str) -> str:
    """The page with what is between the marks generated again.

    Raises:
        ValueError: the page has no such place.
    """
    if page.count(_BEGIN) != 1 or page.count(_END) != 1:
        raise ValueError("a page needs both marks, once")
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{made}{_END}{after}"


def _flags() -> str:
    rows = [("flag", "variable", "default", "meaning"), ("---",) * 4]
    for flag in FLAGS.values():
        spelled = f"{flag.flag} {flag.metavar}".rstrip()
        # Prose, such as "the whole cluster", is no value.
        default = flag.shown_default or f"`{flag.default}`"
        meaning = flag.text + ("; the variable separates them by commas" * flag.repeatable)
        rows.append((f"`{spelled}`", f"`{flag.env}`", default, meaning))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Write what is out of date, and say so."""
    argparse.ArgumentParser(prog="python -m hack.generated", description=__doc__).parse_args()
    for path, text in generated_files().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
