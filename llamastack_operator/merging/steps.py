# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The steps of a merge: what the resource says, what the images say, the base, the packages.

A step that fails ends the merge; the next run begins from nothing. Nothing is shown of the
configuration of a provider, or of the base: both may hold secrets.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from configs import scalars, yaml_reader
from configs.external import entries, merge, messages, metadata, packages, paths
from configs.external.entries import Entry, Input
from configs.external.failures import Provider, ProviderError
from configs.external.merge import ExternalProvider
from llamastack_operator.merging import outputs, tree
from llamastack_operator.merging.staged import StagedDirectory, open_staged

_UNKNOWN: Final = "(unknown)"


class StepError(Exception):
    """A step failed, and no provider is to blame.

    Args:
        step: one of :mod:`configs.external.messages`.
        problem: why.
    """

    def __init__(self, step: str, problem: object) -> None:
        super().__init__(messages.step_failed(step, str(problem)))


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        metadata_dir: directories of the providers.
        extra_providers_output: file for the external providers alone.
        output: file for the merged configuration.
        base: file that they are merged into; ``None`` for none.
        crd_config_dir: what the resource says of each provider; ``None`` if nobody does.
        log_output: file for warnings and what was done; ``None`` for none.
        packages_output: directory for the packages of all; ``None`` to leave them where they are.
    """

    metadata_dir: Path
    extra_providers_output: Path
    output: Path
    base: Path | None = None
    crd_config_dir: Path | None = None
    log_output: Path | None = None
    packages_output: Path | None = None


def run(options: Options) -> None:
    """Merges.

    Raises:
        ProviderError: a provider is to blame for the failure.
        StepError: none is.
    """
    found = _input(options)
    _say("Generating extra-providers.yaml from provider metadata...")
    with ExitStack() as stack:
        sources = [_opened(options, entry, stack) for entry in found.entries]
        report = _Report()
        pairs = list(zip(found.entries, sources, strict=True))
        providers = [_provider(entry, source, report) for entry, source in pairs]
        _write_extra_providers(options, providers)
        _write_merged(options, found, providers, report)
        if options.packages_output is not None:
            _write_packages(options.packages_output, sources, report)
    if options.log_output is not None:
        _write(messages.WRITE_LOG, options.log_output, report.text())
    _say("Merge completed successfully!")


class _Report:
    """What is in the log of a merge; warnings are also shown."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def warn(self, warning: str) -> None:
        self._lines.append(f"WARNING: {warning}\n")
        sys.stderr.write(self._lines[-1])

    def note(self, note: str) -> None:
        self._lines.append(f"{note}\n")

    def text(self) -> str:
        return "".join(self._lines)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


@contextmanager
def _step(name: str, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        problem = error.strerror if isinstance(error, OSError) else error
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        raise StepError(name, f"{where}{problem}") from error


# --- input ----------------------------------------------------------------------------------------


def _input(options: Options) -> Input:
    """What the resource says; without it, every directory there is, in the order of the names."""
    with _step(messages.READ_INPUT, OSError, entries.InputError):
        if options.crd_config_dir is None:
            return Input(tuple(_guessed(options.metadata_dir)), "generated")
        files = sorted(options.crd_config_dir.iterdir())
        found = entries.read(
            {path.name: path.read_bytes() for path in files if entries.is_input(path.name)}
        )
    merge.check_unique(found.entries)
    return found


def _guessed(top: Path) -> Iterator[Entry]:
    """Providers whose API only their metadata says, for people who try an image by hand."""
    for path in sorted(top.iterdir()):
        if path.is_dir():
            yield Entry(Provider(path.name, _UNKNOWN, _UNKNOWN), "", "", 0)


def _opened(options: Options, entry: Entry, stack: ExitStack) -> StagedDirectory:
    with _step(messages.READ_INPUT, OSError):
        source = open_staged(options.metadata_dir, entry.provider)
    stack.callback(source.close)
    return source


def _provider(entry: Entry, source: StagedDirectory, report: _Report) -> ExternalProvider:
    """What resource and image say of a provider together."""
    wheels = source.wheels()
    apis = metadata.APIS | (merge.apis_of(entry) if entry.section else set())
    try:
        found = metadata.parse(
            source.metadata(), files=None if wheels is None else wheels.files, apis=apis
        )
    except metadata.MetadataError as error:
        failure = messages.invalid_metadata(entry.provider, error.summary, error.problems)
        raise ProviderError(failure) from error
    for warning in found.warnings:
        report.warn(messages.metadata_warning(entry.provider, warning))
    if not entry.section:
        entry = Entry(entry.provider, found.api, merge.section_of(found.api), 0)
    merge.check_placement(entry, found)
    return ExternalProvider(entry, found)


# --- configuration --------------------------------------------------------------------------------


def _write_extra_providers(options: Options, providers: Sequence[ExternalProvider]) -> None:
    with _step(messages.SERIALIZE_EXTRA, yaml_reader.YamlError):
        text = yaml_reader.dump(merge.extra_providers(providers), sort_keys=False)
    _write(messages.WRITE_EXTRA, options.extra_providers_output, text)
    _say(f"✓ Generated extra-providers.yaml: {options.extra_providers_output}")


def _write_merged(
    options: Options, found: Input, providers: Sequence[ExternalProvider], report: _Report
) -> None:
    base = _base(options.base)
    with _step(messages.MERGE, merge.BaseError):
        merged = merge.merge(base, providers, found.base)
    for warning in merged.warnings:
        report.warn(warning)
    for note in merged.notes:
        report.note(note)
    with _step(messages.SERIALIZE_MERGED, yaml_reader.YamlError):
        text = yaml_reader.dump(merged.config, sort_keys=False)
    _write(messages.WRITE_MERGED, options.output, text)
    _say(f"✓ Generated merged run.yaml: {options.output}")


def _base(path: Path | None) -> dict[str, Any] | None:
    """The base as the server reads it; what is in an empty file is nothing, not a minimal one."""
    if path is None:
        _say("No base run.yaml provided, creating minimal structure")
        return None
    _say(f"Reading base run.yaml from: {path}")
    with _step(messages.READ_BASE, OSError), path.open("rb") as file:
        raw = file.read(yaml_reader.MAX_BYTES + 1)
    with _step(messages.PARSE_BASE, yaml_reader.YamlError):
        data = yaml_reader.load(raw, resolve=scalars.resolve_as_server)
    if data is not None and not isinstance(data, dict):
        raise StepError(messages.PARSE_BASE, "the file must be a mapping")
    return data or {}


def _write(step: str, path: Path, text: str) -> None:
    with _step(messages.MAKE_DIRECTORY, OSError):
        tree.make_directory(path.parent)
    with _step(step, OSError):
        outputs.write(path, text)


# --- packages -------------------------------------------------------------------------------------


def _write_packages(output: Path, sources: Sequence[StagedDirectory], report: _Report) -> None:
    """Makes the tree of packages; the list of them is there before the first failure names it."""
    staged = [source.packages() for source in sources]
    listing = output.with_name(Path(paths.INSTALLED).name)
    _write(messages.MERGE_PACKAGES, listing, packages.installed_text(staged))
    # What all providers bring is compared with the same file of the first one.
    digest = functools.cache(lambda number, path: sources[number].digest(path))
    plan = packages.plan(staged, digest)
    with _step(messages.MERGE_PACKAGES, OSError):
        tree.replace(output, plan.links, sources)
    _write(messages.MERGE_PACKAGES, listing, packages.installed_text(staged, plan.left_out))
    for number, module in plan.hiding:
        report.warn(messages.module_left_out(staged[number].provider, module))
    for each in plan.left_out:
        report.note(
            messages.version_left_out(
                staged[each.provider].provider,
                str(each.distribution),
                each.taken.version,
                staged[each.taken.provider].provider,
            )
        )
