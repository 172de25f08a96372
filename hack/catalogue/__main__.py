# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``make catalogue``: writes configs/data/catalogue.json from what ``make servers`` installed.

python -m hack.catalogue            # write it, and say what changed
python -m hack.catalogue --check    # change nothing; exit 1 and show the difference
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hack.catalogue import maker
from hack.catalogue.installed import CATALOGUE, dumps
from hack.catalogue.rules import Json, Undecided
from hack.servers.bed import Bed
from hack.servers.errors import BedError


def main(arguments: list[str]) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m hack.catalogue")
    parser.add_argument("--check", action="store_true", help="change nothing, show the difference")
    options = parser.parse_args(arguments)
    try:
        made = maker.catalogue(dumps(Bed.open()))
    except (BedError, Undecided) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return settle(made, CATALOGUE, check=options.check)


def settle(made: Json, path: Path, *, check: bool) -> int:
    """Compares with the file, says what differs, and writes it unless ``check``.

    Returns:
        The exit code: 1 if ``check`` found a difference.
    """
    text = maker.render(made)
    old = path.read_text("utf-8")
    if text == old:
        print(f"{path.name} says what the installed servers say")
        return 0
    print("\n".join(maker.changes(json.loads(old), made) or ["only the form differs"]))
    if check:
        print(f"error: {path.name} is out of date: run `make catalogue`", file=sys.stderr)
        return 1
    path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
