# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Inside the server's image: loads every external provider once, before the server does.

Checked are the entries of run.yaml with a ``module``, one after the other, up to the first failure:
native extensions fit this machine and this Python; what the packages require is there; ``{module}``
and ``{module}.provider`` can be imported; ``get_provider_spec()`` returns what the server needs.
What is merely odd is a warning. The module that the spec names is not loaded, the server not
started, no file changed, no value of ``config`` printed. The checks have a process of their own,
because code of a provider may end it with any status. The status is 0 if all can be loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib.metadata
import json
import mmap
import os
import re
import signal
import sys
import sysconfig
import textwrap
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml  # type: ignore[import-untyped]

_ROOT = "/opt/llama-stack/external-providers"
_TERMINATION_LOG = os.environ.get("TERMINATION_LOG", "/dev/termination-log")
_TERMINATION_BYTES = 4096  # more is dropped by the kubelet
_DETAIL_BYTES, _METADATA_BYTES, _LIST_BYTES = 2**16, 2**16, 2**24

_DIST_INFO = re.compile(r"([^-]+)-[^-]+\.dist-info")
_NATIVE = re.compile(r"\.so(\.\d+)*$")
_TAGGED = re.compile(r"([^.]+)\.(abi3|cpython-\w+|pypy\w+)[^.]*\.so")
_FAMILY = re.compile(r"(llama[-_.]+stack|ogx)([-_.].+)?", re.IGNORECASE)
_MACHINES = {21: "ppc64le", 22: "s390x", 62: "x86_64", 183: "arm64", 243: "riscv64"}
_KILLED, _GRACE = 128, 10.0  # a signal's number comes on top; seconds, for who stops the clock
_SPEC = "Provider spec validation failed"
_SEE_PATH = (
    "Ensure provider packages are installed and PYTHONPATH is set correctly. "
    "Put a wheel with the module into the provider image, or correct spec.packageName."
)
_SEE_STATUS = "Rebuild native extensions that crash (139), or raise the limit of memory (137)."
_UPDATE = "Update lls-provider-spec.yaml to match runtime implementation for mismatched fields."


class Provider(NamedTuple):
    """An entry of run.yaml with a module; the last three are those of the resource's own."""

    id: str
    type: str
    module: str
    folder: str = os.devnull
    image: str = ""
    container: str = ""

    def origin(self, file: str) -> str:
        """The wheel that brought a file; the file itself if nothing tells."""
        end = ".dist-info/RECORD"
        with contextlib.suppress(Exception):  # of what a stranger wrote
            wheels = json.loads(read_start(f"{self.folder}/wheels.json", _LIST_BYTES))["wheels"]
            for found in importlib.metadata.distributions(path=[f"{self.folder}/packages"]):
                files = [str(path) for path in found.files or ()]
                if file in files:
                    stem = next(path for path in files if path.endswith(end)).removesuffix(end)
                    return str(next(name for name in wheels if name.startswith(f"{stem}-")))
        return file


@dataclass(eq=False)
class ValidationFailed(Exception):
    """The server could not load a provider; of the details the middle may be dropped."""

    reason: str
    resolution: str
    details: str = ""
    headline: str = "Provider validation failed"

    def text(self, provider: Provider | None, most: int) -> str:
        """The whole message, in so many bytes if it is not the head that takes more."""
        head = f"ERROR: {self.headline}\n\n"
        if provider:
            head += f"Provider: {printable(provider.id)}\n"
            if provider.image:
                head += f"Image: {provider.image}\nInit Container: {provider.container}\n"
            head += f"Module: {printable(provider.module)}\n"
        head += f"Reason: {self.reason}\n\n"
        end = f"Resolution: {self.resolution}\n"
        lines = (printable(line, None) for line in self.details.expandtabs().splitlines())
        details = shortened("\n".join(lines), most - len(f"{head}\n\n{end}".encode()))
        return f"{head}{details}\n\n{end}" if details else head + end


def printable(value: object, most: int | None = 200) -> str:
    """A stranger's value in one line that can neither look like ours nor steer a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value)[:most])[:most]


def shortened(text: str, room: int) -> str:
    """The text in at most ``room`` bytes, without what is in its middle."""
    content, gap = text.encode("utf-8", "backslashreplace"), b"\n[...]\n"
    if len(content) <= room:
        return text
    kept = max(room - len(gap), 0)
    left = content[: kept // 4] + gap + content[len(content) - (kept - kept // 4) :]
    return left.decode("utf-8", "ignore") if kept else ""


def warn(headline: str, provider: Provider, *lines: str, note: str) -> None:
    """Write a warning."""
    head = [f"WARNING: {headline} (non-blocking)", "", f"Provider: {printable(provider.id)}"]
    sys.stderr.write("\n".join([*head, *lines, "", f"Note: {note}", "", ""]))


def read_start(path: str, most: int) -> bytes:
    """The first bytes of a stranger's file; nothing if it is a link or no file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
            return file.read(most) or b""
    except OSError:
        return b""


def providers_of(given: argparse.Namespace) -> list[Provider]:
    """The entries of run.yaml with a module, and what the resource says of them."""
    run_yaml, inputs, staged = given.run_yaml, given.crd_config_dir, given.metadata_dir
    items = [json.loads(path.read_bytes()) for path in Path(inputs).glob("[0-9]*-*.json")]
    known = {(item["api"], item["providerId"]): item for item in items}
    try:
        sections = yaml.safe_load(Path(run_yaml).read_bytes()).get("providers") or {}
        entries = [(api, entry) for api, part in sections.items() for entry in part or ()]
        found = [(known.get((api, e.get("provider_id")), {}), e) for api, e in entries]
    except Exception as error:  # noqa: BLE001 -- its text may quote the file: a configuration
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        reason = f"Cannot read {run_yaml}: {type(error).__name__}{where}"
        raise ValidationFailed(reason, "Correct the base configuration.") from None
    return [
        Provider(
            str(entry.get("provider_id")),
            str(entry.get("provider_type")),
            str(entry["module"]).split("==")[0],  # as the server
            *((f"{staged}/{i['providerId']}", i["image"], i["initContainerName"]) if i else ()),
        )
        for i, entry in found
        if entry.get("module")
    ]


def check_native(provider: Provider) -> None:
    """Whether native extensions can be loaded here; none is.

    A wheel may bring an extension for several machines and versions of Python: one has to fit.
    Libraries whose names do not tell which belong together are alternatives in their directory.
    """
    here = platform_of(read_start(os.path.realpath("/proc/self/exe"), 20))
    abi = "-".join(str(sysconfig.get_config_var("SOABI")).split("-")[:2])
    groups: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    top = f"{provider.folder}/packages"
    for directory, _, names in () if os.path.islink(top) else os.walk(top):
        for name in filter(_NATIVE.search, sorted(names)):
            path = f"{directory}/{name}"
            if platform := platform_of(read_start(path, 20)):
                tagged = _TAGGED.fullmatch(name)
                stem, tag = tagged.groups() if tagged else ("", "")
                groups.setdefault((directory, stem), []).append((path, platform, tag))
    for group in groups.values():
        if any(platform == here and tag in {"", "abi3", abi} for _, platform, tag in group):
            continue
        path, platform, tag = group[0]
        what, wanted, got, target = "architecture", here, platform, here
        if platform == here:
            what, wanted, got, target = "ABI", abi, tag, f"{here} and {abi}"
        file = os.path.relpath(path, top)
        raise ValidationFailed(
            f"Native extension {what} mismatch",
            f"Rebuild provider package with native extensions compiled for {target}, "
            "or use pure Python implementation.",
            f"Package: {provider.origin(file)}\nExpected {what}: {wanted}\n"
            f"Found {what}: {got}\nFile: {file}",
        )


def platform_of(header: bytes) -> str:
    """What a library was compiled for, by its first 20 bytes; empty if it is something else."""
    if not header.startswith(b"\x7fELF"):
        return ""
    number = int.from_bytes(header[18:20], "little" if header[5:6] == b"\1" else "big")
    return f"linux/{_MACHINES.get(number, f'machine-{number}')}"


class Packages:
    """The distributions that can be imported, with those of all external providers in one place."""

    def __init__(self, merged: str) -> None:
        real = os.path.realpath(merged)
        self._merged = [merged]
        self._server = [path for path in sys.path if os.path.realpath(path) != real]
        self._requirement: Any = None
        for name in ("packaging.requirements", "pip._vendor.packaging.requirements"):
            with contextlib.suppress(ImportError):
                self._requirement = importlib.import_module(name).Requirement
                break
        if self._requirement is None:
            sys.stderr.write("NOTE: Requirements were not checked: there is no 'packaging'\n")

    def check(self, provider: Provider) -> None:
        """Whether everything is there that a provider's packages require."""
        top = f"{provider.folder}/packages"
        names = sorted(os.listdir(top)) if os.path.isdir(top) else []
        for match in filter(None, map(_DIST_INFO.fullmatch, names)):
            merged, hidden = _find(match[1], self._merged), _find(match[1], self._server)
            if not merged:
                continue
            package = _named(merged)
            if hidden and hidden.version != merged.version:
                headline = "Provider package hides a package of the server"
                lines = (f"Package: {package}", f"Hidden: {_named(hidden)} (server)")
                note = "The whole server runs with the provider's version of this package."
                warn(headline, provider, *lines, note=note)
            for text in merged.requires or () if self._requirement else ():
                with contextlib.suppress(ValueError, TypeError):  # no requirement, or no version
                    self._require(provider, package, self._requirement(text))

    def _require(self, provider: Provider, package: str, requirement: Any) -> None:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            return
        ours = _find(requirement.name, self._merged)
        found = ours or _find(requirement.name, self._server)
        if found and requirement.specifier.contains(found.version, prereleases=True):
            return
        there = f"{_named(found)} ({'provider' if ours else 'server'})" if found else "nothing"
        text = printable(requirement)
        lines = (f"Package: {package}", f"Requirement: {text}", f"Installed: {there}")
        if found is None or (ours and not _FAMILY.fullmatch(requirement.name)):
            advice = f"Add a wheel for {text} to /lls-provider/packages/ of the provider image."
            raise ValidationFailed("Missing dependency", advice, "\n".join(lines))
        note = "The provider runs with the installed version, which it may not work with."
        warn("Provider requires another version", provider, *lines, note=note)


def _find(name: str, path: list[str]) -> importlib.metadata.Distribution | None:
    return next(iter(importlib.metadata.distributions(name=name, path=path)), None)


def _named(distribution: importlib.metadata.Distribution) -> str:
    return printable(f"{distribution.name} {distribution.version}")


def load(provider: Provider) -> Any:
    """The spec that the server gets from a provider."""
    name = f"{provider.module}.provider"
    imported = False
    try:
        importlib.import_module(provider.module)
        module = importlib.import_module(name)
        imported = True
        found = module.get_provider_spec()
    except BaseException as error:  # noqa: BLE001 -- also one that is meant to end the process
        kind, lines = printable(type(error).__name__), traced(error)
        if imported:
            advice = f"Make get_provider_spec() of {printable(name)} return ProviderSpec."
            reason = f"get_provider_spec() raised {kind}"
            raise ValidationFailed(reason, advice, lines, _SPEC) from None
        if isinstance(error, ModuleNotFoundError):
            raise ValidationFailed("Module not found", _SEE_PATH, lines) from None
        advice = f"Make {printable(name)} importable in the server's image."
        raise ValidationFailed(f"Import failed: {kind}", advice, lines) from None
    if not isinstance(found, list):
        return found
    fitting = [spec for spec in found if field(spec, "provider_type") == provider.type]
    if not fitting:
        raise _invalid(f"None in the list of {len(found)} is {printable(provider.type)}")
    return fitting[-1]  # as the server


def traced(error: BaseException) -> str:
    """A traceback, without the frames of this program and of the import system."""
    whole = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = whole
    ours = ("<frozen importlib", str(importlib.__file__), __file__)
    while part:
        part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(ours)]
        part = part.__cause__ or part.__context__
    lines = "".join(whole.format()).removeprefix("Traceback (most recent call last):\n")
    return "Traceback:\n" + textwrap.indent(lines, "  ")


def _invalid(details: str, name: str = "provider_type") -> ValidationFailed:
    reason = "get_provider_spec() returned invalid data"
    advice = f"Provider implementation must return ProviderSpec with {name} field."
    return ValidationFailed(reason, advice, details, _SPEC)


def field(spec: Any, name: str) -> str:
    """A field of a spec as text, which enums are not; empty if it is absent."""
    with contextlib.suppress(BaseException):  # of a stranger's property, which may want to exit
        value = getattr(spec, name, None)
        return "" if value is None else str(getattr(value, "value", value))
    return ""


def check_spec(provider: Provider, spec: Any) -> None:
    """Whether a spec has what the server needs; warns if the metadata says something else."""
    if spec is None:
        raise _invalid("Returned: None")
    for name in ("provider_type", "api", "config_class"):
        if not field(spec, name) and not (name == "config_class" and field(spec, "config_schema")):
            raise _invalid(f"Missing required field: {name}", name)
    said: Any = {}
    with contextlib.suppress(Exception):  # the merge has refused what cannot be read
        content = read_start(f"{provider.folder}/lls-provider-spec.yaml", _METADATA_BYTES)
        said = {k: v for k, v in yaml.safe_load(content)["spec"].items() if isinstance(v, str)}
    lines, differ = [], False
    for name, key in (("provider_type", "providerType"), ("api", "api")):
        runtime = printable(field(spec, name))
        metadata = printable(said.get(key, runtime))
        verdict = "Match ✓" if metadata == runtime else f"Using: {runtime} (runtime value)"
        differ = differ or metadata != runtime
        lines += ["", f"Field: {name}", f"  Metadata (lls-provider-spec.yaml): {metadata}"]
        lines += [f"  Runtime (get_provider_spec()): {runtime}", f"  {verdict}"]
    if differ:
        warn("Provider metadata mismatch", provider, *lines, note=_UPDATE)


class Preflight:
    """One run, in two processes: one checks, and the other one waits for its verdict or its end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._provider: Provider | None = None
        self._shared = mmap.mmap(-1, 8)  # who had a verdict, and the number of the provider
        self._stack = os.memfd_create("stack")

    def run(self, arguments: argparse.Namespace) -> NoReturn:
        """Check everything, and end with the verdict."""
        try:
            providers = providers_of(arguments)
        except ValidationFailed as unreadable:
            self._finish(unreadable)
        if not (child := os.fork()):
            self._check(providers, arguments.packages_dir)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, self._seconds + _GRACE)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        status = ended if ended >= 0 else _KILLED - ended
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        if int.from_bytes(self._shared[:4], "big") == child:  # and not one that a provider forked
            os._exit(status)
        number = int.from_bytes(self._shared[4:], "big")
        self._provider = providers[number] if number < len(providers) else None
        self._finish(self._no_verdict(status, late=left <= _GRACE), status or 1)

    def _check(self, providers: list[Provider], merged: str) -> NoReturn:
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=self._stack)
        try:
            packages = Packages(merged)
            for number, self._provider in enumerate(providers):
                self._shared[4:] = number.to_bytes(4, "big")
                sys.stdout.write(f"Validating provider: {printable(self._provider.id)}\n")
                sys.stdout.flush()  # who ends the process does not do it
                check_native(self._provider)
                packages.check(self._provider)
                check_spec(self._provider, load(self._provider))
        except ValidationFailed as failure:
            self._finish(failure)
        self._finish(None)

    def _no_verdict(self, status: int, *, late: bool) -> ValidationFailed:
        """Why the process that checks ended without one."""
        where = "from the import and from get_provider_spec()."
        if late:
            stack = os.pread(self._stack, _DETAIL_BYTES, 0).decode("utf-8", "replace")
            details = "Traceback:\n" + textwrap.indent(stack, "  ")
            reason = f"Not finished after {self._seconds:g} s"
            return ValidationFailed(reason, f"Remove what waits or computes {where}", details)
        advice = f"Remove what ends the process {where}" if status < _KILLED else _SEE_STATUS
        return ValidationFailed(f"The process ended with status {status}", advice)

    def _finish(self, failure: ValidationFailed | None, status: int = 1) -> NoReturn:
        """Say the result and go, without the farewell that a provider's threads could hold up."""
        if failure:
            sys.stderr.write(failure.text(self._provider, _DETAIL_BYTES))
            with contextlib.suppress(OSError):  # the kubelet takes standard error then
                log = os.open(_TERMINATION_LOG, os.O_WRONLY | os.O_TRUNC)
                os.write(log, failure.text(self._provider, _TERMINATION_BYTES).encode())
        else:
            sys.stdout.write("All providers validated successfully\n")
        sys.stdout.flush()  # standard error does it after each line
        self._shared[:4] = os.getpid().to_bytes(4, "big")
        os._exit(status if failure else 0)


def main(arguments: list[str]) -> NoReturn:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="preflight.py", allow_abbrev=False)
    parser.add_argument("--run-yaml", required=True)
    parser.add_argument("--metadata-dir", default=f"{_ROOT}/staged")
    parser.add_argument("--crd-config-dir", default="/opt/llama-stack/crd-config")
    parser.add_argument("--packages-dir", default=f"{_ROOT}/python-packages")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS")
    given = parser.parse_args(arguments)
    Preflight(given.timeout).run(given)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # a provider's package may be called like a file beside this one
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    main(sys.argv[1:])
