# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The matrix by hand: ``python -m tests.support.matrix [--write] [WORD...]``.

Prints a line a case as it ends. With ``--write``, which takes no words, docs/compatibility.md gets
the tables. The exit code is 1 if a case failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hack.servers.bed import Bed
from hack.servers.errors import BedError
from tests.support.matrix.case import Outcome
from tests.support.matrix.report import tables
from tests.support.matrix.running import all_cases, running

PAGE = Path("docs/compatibility.md")
BEGIN, END = "<!-- begin matrix -->", "<!-- end matrix -->"

_DESCRIPTION = """\
Prove the config engine: each case is a spec, its config goes through the classes of a
real server, the server boots with it, and what it then does is looked at: providers,
models, credentials that arrived at an endpoint, data that arrived in a database.

  python -m tests.support.matrix                     # all, about 10 minutes
  python -m tests.support.matrix 0.7.3 storage       # cases with both words in their id
  python -m tests.support.matrix --write             # all, and the tables in the docs
"""


def main() -> int:
    """Run the selected cases; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.matrix",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="part of the ids of cases")
    parser.add_argument("--write", action="store_true", help=f"write the tables of {PAGE}")
    options = parser.parse_args()
    if options.write and options.words:
        parser.error("--write needs all cases, so it takes no words")
    cases = [case for case in all_cases() if all(word in case.id for word in options.words)]
    try:
        with running(Bed.open(), cases) as outcome_of:
            outcomes = [_shown(outcome_of(case).result()) for case in cases]
    except BedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    failed = [outcome for outcome in outcomes if outcome.failure]
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} as they should be")
    if options.write and not failed:
        PAGE.write_text(with_tables(PAGE.read_text("utf-8"), tables(outcomes)), "utf-8")
    return 1 if failed else 0


def with_tables(page: str, made: str) -> str:
    """The page with these tables between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def _shown(outcome: Outcome) -> Outcome:
    said = outcome.failure or ", ".join(outcome.proven)
    mark = "FAIL" if outcome.failure else "ok"
    print(f"{mark:4} {outcome.seconds:5.1f} s  {outcome.case.id}: {said}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
