# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What the tests reach, as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hack.coverage.figures import Change, Comparison, Executed, Figures
from hack.coverage.modules import WIDE_LEVELS, Module, expected_tests

_SHOWN_TESTS = 3
_MISSED = (
    "Own tests of a module are in the folder of tests/unit that mirrors its package, or above it, "
    f"or in tests/{{{','.join(WIDE_LEVELS)}}}.\n"
    "Of these modules they execute less than half of the lines inside functions "
    "(by others: how many other test files reach the module):"
)


def format_map(modules: Iterable[Module]) -> Iterator[str]:
    """A row for each module: its figures, and the test files that reach it.

    Args:
        modules: Those to show, in this order.
    """
    yield f"{'module':<58} {'lines':>6} {'branches':>8} {'own':>6}  lines by test file, own first"
    for module in modules:
        own = module.own_lines
        yield (
            f"{module.path:<58} {module.lines.percent:>6} {module.branches.percent:>8} "
            f"{own.percent if own.total else '-':>6}  {_first(module)}"
        )


def _first(module: Module) -> str:
    files = (*module.own_tests, *module.other_tests)
    shown = [f"{len(module.reached[file])} {_short(file)}" for file in files[:_SHOWN_TESTS]]
    more = len(files) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _short(test_file: str) -> str:
    return test_file.removeprefix("tests/").removesuffix(".py")


def format_details(module: Module) -> Iterator[str]:
    """All that is known of one module.

    Args:
        module: The one to show.
    """
    own = module.own_lines
    yield (
        f"{module.path}: lines {module.lines.percent} %, branches {module.branches.percent} %, "
        f"by its own tests {own.hit} of {own.total} lines inside functions"
    )
    if module.missing:
        yield f"  never executed: {module.missing}"
    if module.partial:
        yield f"  not in every direction: {', '.join(map(str, module.partial))}"
    for title, files in (("own test", module.own_tests), ("other test", module.other_tests)):
        for file in files:
            yield f"  {title}: {file}, {len(module.reached[file])} lines inside functions"


def format_missed(modules: Iterable[Module], exceptions: Mapping[str, str]) -> Iterator[str]:
    """The modules that their own tests do not reach, and what was expected where.

    Args:
        modules: All of the product.
        exceptions: Reasons why a module has no tests of its own, by its path.
    """
    missed = {module.path: module for module in modules if module.is_missed}
    shown = [module for path, module in missed.items() if path not in exceptions]
    if shown:
        yield _MISSED
    for module in shown:
        own = module.own_lines
        yield (
            f"  {module.path:<52} {own.hit:>2} of {own.total:>2}, "
            f"by others {len(module.other_tests):>2}, expected in {expected_tests(module.path)}"
        )
    for path in sorted(exceptions.keys() - missed.keys()):
        yield f"{path} is reached: take it out of hack/coverage/exceptions.py"


def format_figures_table(
    executed: Mapping[str, Executed], committed: Mapping[str, Figures]
) -> Iterator[str]:
    """A row for each part of the product: its figures, and in brackets the committed ones.

    Args:
        executed: What was executed, by the name of the part.
        committed: Figures, likewise.
    """
    yield f"{'percent executed (committed)':<40} {'branches':<14} lines"
    for part, share in executed.items():
        now, before = share.figures, committed.get(part)
        branches, lines = f"{now.branches / 10:>5}", f"{now.lines / 10:>5}"
        if before:
            branches += f" ({before.branches / 10})"
            lines += f" ({before.lines / 10})"
        yield f"{part:<40} {branches:<14} {lines}"


def format_comparison(comparison: Comparison) -> Iterator[str]:
    """What changed against the committed figures, and what to do about it.

    Args:
        comparison: Of what was measured with what is committed.
    """
    for change in comparison.fallen:
        yield (
            f"error: {_said(change, 'fell')}. Test what is new: `python -m hack.coverage "
            f"{change.part.replace('.', '/')}` shows what is not executed. If covered code was "
            "removed, and nothing else, commit the figures of `make coverage UPDATE=1`"
        )
    for part in (*comparison.new, *comparison.gone):
        state = "no figure" if part in comparison.new else "a figure but no module"
        yield f"error: {part} has {state}: commit the figures of `make coverage UPDATE=1`"
    for change in comparison.risen:
        yield _said(change, "rose")
    if comparison.risen:
        yield "What rose can be held from now on: commit the figures of `make coverage UPDATE=1`"


def _said(change: Change, verb: str) -> str:
    return (
        f"{change.part}: coverage of {change.kind} {verb} from {change.before / 10} % "
        f"to {change.after / 10} %"
    )
