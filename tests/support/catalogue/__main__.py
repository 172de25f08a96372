# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""`make catalogue`: configs/data/catalogue.json anew, from what `make servers` installed.

    python -m tests.support.catalogue            # write it, and say what changed
    python -m tests.support.catalogue --check    # change nothing; exit 1 and show the difference

A dump takes some seconds of a processor, so the releases are asked one after the other.
"""

from __future__ import annotations

import argparse
import json
import sys

from configs.eras import ERAS
from tests.support.catalogue import maker
from tests.support.catalogue.installed import CATALOGUE, dump
from tests.support.catalogue.rules import Undecided
from tests.support.servers.bed import Bed
from tests.support.servers.errors import BedError
from tests.support.servers.releases import RELEASES


def main(arguments: list[str]) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.catalogue")
    parser.add_argument("--check", action="store_true", help="change nothing, show the difference")
    options = parser.parse_args(arguments)
    try:
        bed = Bed.open()
        made = maker.catalogue(
            {era: [dump(bed, one) for one in RELEASES if one.era == era] for era in ERAS}
        )
    except (BedError, Undecided) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    text = maker.render(made)
    old = CATALOGUE.read_text("utf-8")
    if text == old:
        print(f"{CATALOGUE.name} says what the {len(RELEASES)} installed servers say")
        return 0
    print("\n".join(maker.changes(json.loads(old), made) or ["only the form differs"]))
    if options.check:
        print(f"error: {CATALOGUE.name} is out of date: run `make catalogue`", file=sys.stderr)
        return 1
    CATALOGUE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
