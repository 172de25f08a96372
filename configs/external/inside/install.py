# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Inside the image of an external provider: installs its wheels into the provider's own directory.

Started as ``python3 install.py``, without arguments. What it reads and writes:

``PROVIDER_ID``, ``PROVIDER_IMAGE``, ``INIT_CONTAINER_NAME``
    Who is installed; for messages.
``PROVIDER_ROOT``
    The image's root directory; not ``/`` where the image is mounted into a container of another.
``INSTALL_TARGET``
    The directory to install into. It belongs to this provider alone, and whatever is in it is
    removed first, because an earlier run may have been killed at any moment.
``TERMINATION_LOG``
    Where a failure is written for the kubelet, beside standard error.

Dependencies are not resolved (``--no-deps``), because pip cannot know here which packages the
server brings; the preflight checks that nothing is missing.

An image may have a Python that is too old, and has to be told so. Therefore everything here can be
compiled by Python 3.6, and what stands before the check of the version needs no more to run.
"""

import collections
import errno
import itertools
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import IO, NoReturn

_OLDEST = (3, 11)

_PROVIDER = "/lls-provider"
_METADATA = "/lls-provider/lls-provider-spec.yaml"
_PACKAGES = "/lls-provider/packages"
_STAGING = ".staging"

_TERMINATION_BYTES = 4096  # more is dropped by the kubelet
_METADATA_BYTES = 64 * 1024
_MOST_FILES = 10_000
_MOST_LINKS = 40  # on the way to one file, as in the kernel
_LAST_LINES, _LINE_CHARS = 40, 4096

_PYTHON = "{}.{}".format(*sys.version_info)
_PLATFORM = f"{sys.platform}/{platform.machine().replace('aarch64', 'arm64')}"
_ROOT = os.environ.get("PROVIDER_ROOT") or "/"

_UNSUPPORTED = re.compile(r"^ERROR: (.+) is not a supported wheel on this platform\.")
_SERVERS_OWN = re.compile(r"^(llama[-_.]stack([-_.](api|client))?|ogx([-_.]\w+)*)-", re.IGNORECASE)
_NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_SPACE_TEXT = os.strerror(errno.ENOSPC)

# Resolutions.
_ADD_METADATA = f"Add the file {_METADATA} to the provider image and push a new tag."
_ADD_PACKAGES = (
    f"Put the provider wheel and all dependency wheels into {_PACKAGES}/ "
    "and rebuild the provider image."
)
_CHECK_WHEELS = (
    f"Check that all dependency wheels are in {_PACKAGES}/ and that every wheel is "
    f"compatible with Python {_PYTHON} on {_PLATFORM}."
)
_REBUILD = (
    f"Rebuild provider package with native extensions compiled for {_PLATFORM}, "
    "or use pure Python implementation."
)
_MORE_SPACE = (
    "Raise the size limit of the volume: externalProviders.install.sizeLimit in the LLSD spec."
)
_MORE_MEMORY = "Raise the memory limit: externalProviders.install.resources in the LLSD spec."
_MAKE_READABLE = f"Make {_PROVIDER} readable for every user and rebuild the provider image."
_OTHER_PYTHON = (
    "Use a base image with Python 3.11 or later and pip, for example python:3.12-slim, "
    f"for the {'provider' if _ROOT == '/' else 'distribution'} image."
)
_LOOK_AT_NODE = "Check the volumes of the pod and the node it runs on."


class InstallFailed(Exception):
    """The provider cannot be installed.

    Args:
        headline: the first line, without ``ERROR:``.
        resolution: what to do about it.
        reason: in one line.
        output: the last lines of pip.
    """

    def __init__(self, headline: str, resolution: str, reason: str = "", output: str = "") -> None:
        super().__init__(headline)
        self.headline = headline
        self.resolution = resolution
        self.reason = reason
        self.output = output


def report(failure: InstallFailed) -> None:
    """Write a failure to standard error and, shortened, to the termination log."""
    head = f"ERROR: {failure.headline}\n\nProvider: {_ID}\nImage: {_IMAGE}\n"
    head += f"Init Container: {_variable('INIT_CONTAINER_NAME')}\n"
    if failure.reason:
        head += f"Reason: {failure.reason}\n"
    if failure.output:
        head += "\nPip installation failed with:\n"
    end = f"\nResolution: {failure.resolution}\n"
    _write(sys.stderr.fileno(), head + failure.output + end)
    room = _TERMINATION_BYTES - len(_encoded(head + end))
    try:
        log = os.open(os.environ.get("TERMINATION_LOG", "/dev/termination-log"), os.O_WRONLY)
    except OSError:
        return  # the kubelet takes the end of standard error then
    os.ftruncate(log, 0)
    _write(log, head + _shortened(failure.output, room) + end)
    os.close(log)


def printable(text: str) -> str:
    """A stranger's text in one line that can neither look like ours nor steer a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _shortened(text: str, room: int) -> str:
    """The text in at most ``room`` bytes, without what is in its middle."""
    content, gap = _encoded(text), b"\n[...]\n"
    if len(content) <= room:
        return text
    kept = max(room - len(gap), 0)
    first = kept // 4
    left = content[:first] + gap + content[len(content) - (kept - first) :]
    return left.decode("utf-8", "ignore") if kept else ""


def _variable(name: str) -> str:
    return printable(os.environ.get(name, ""))


_ID, _IMAGE = _variable("PROVIDER_ID"), _variable("PROVIDER_IMAGE")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _write(descriptor: int, text: str) -> None:
    """Write at once and in UTF-8, whatever the image's locale is."""
    content = _encoded(text)
    while content:
        content = content[os.write(descriptor, content) :]


def _say(line: str) -> None:
    _write(sys.stdout.fileno(), f"{line}\n")


def _cannot_install(resolution: str, reason: str = "", output: str = "") -> InstallFailed:
    return InstallFailed(f"Cannot install provider '{_ID}'", resolution, reason, output)


if sys.version_info[:2] < _OLDEST:  # it cannot even define the rest
    report(_cannot_install(_OTHER_PYTHON, f"Python {_PYTHON} is older than 3.11"))
    sys.exit(1)


def inside(path: str) -> str:
    """Where a path leads, here, with every link followed as if the image were all there is.

    Args:
        path: absolute, in the image. What it names need not be there.
    """
    done: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        part = todo.pop()
        here = os.path.join(_ROOT, *done, part)
        if part in {"", "."}:
            continue
        if part == "..":
            del done[-1:]
        elif os.path.islink(here):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            leads = os.readlink(here)
            done = [] if leads.startswith("/") else done
            todo += leads.split("/")[::-1]
        else:
            done.append(part)
    return os.path.join(_ROOT, *done)


def mode(path: str) -> int:
    """Type and permissions of what is at a path of the image; 0 if there is nothing."""
    try:
        return os.lstat(inside(path)).st_mode
    except OSError as error:
        if error.errno in _NOTHING:
            return 0
        raise


def wheels() -> dict[str, str]:
    """File name → path here of every wheel of the image, sorted.

    Raises:
        InstallFailed: there is none, or one is no file.
    """
    if not stat.S_ISDIR(mode(_PACKAGES)):
        raise InstallFailed(f"Missing {_PACKAGES}/ directory in image {_IMAGE}", _ADD_PACKAGES)
    found = {}
    for name in sorted(os.listdir(inside(_PACKAGES))):
        path = f"{_PACKAGES}/{name}"
        if name.endswith(".whl"):
            if not name.isprintable() or not stat.S_ISREG(mode(path)):
                what = "a regular file" if name.isprintable() else "the name of a wheel"
                raise _cannot_install(_ADD_PACKAGES, f"{printable(path)} is not {what}")
            found[name] = inside(path)
    if not found:
        headline = f"No wheel files (*.whl) in {_PACKAGES}/ in image {_IMAGE}"
        raise InstallFailed(headline, _ADD_PACKAGES)
    return found


def files(names: Iterable[str]) -> list[str]:
    """What a path in the metadata may name: files, relative to ``/lls-provider``, sorted.

    Links to directories are not followed, but for the one to the packages. A name that is not
    printable is left out: it may be no UTF-8 at all.

    Args:
        names: of the wheels, which are never left out because there are too many others.
    """
    top = inside(_PROVIDER)
    walked = (os.path.relpath(f"{d}/{name}", top) for d, _, found in os.walk(top) for name in found)
    named = (path for path in walked if path.isprintable())
    regular = (path for path in named if stat.S_ISREG(mode(f"{_PROVIDER}/{path}")))
    first = (f"packages/{name}" for name in names)
    return sorted(set(itertools.islice(itertools.chain(first, regular), _MOST_FILES)))


def install(target: str) -> None:
    """Make the target hold what the image brings, and nothing else.

    Raises:
        InstallFailed: the image is not as it has to be, or pip failed.
        OSError: reading the image or writing to the target failed.
    """
    _say(f"Installing external provider: {_ID}")
    if not stat.S_ISREG(mode(_METADATA)):
        raise InstallFailed(f"Missing {_METADATA} in image {_IMAGE}", _ADD_METADATA)
    found = wheels()
    _empty(target)
    staging = os.path.join(target, _STAGING)
    for name in ("", "tmp", "wheels"):
        os.mkdir(os.path.join(staging, name))
    _warn_of_servers_own(found)
    _say("Installing provider packages...")
    _run_pip(_as_named(found, staging), staging)
    with open(inside(_METADATA), "rb") as metadata:
        # One byte more than anybody reads tells that the file is too large.
        content = metadata.read(_METADATA_BYTES + 1)
    with open(os.path.join(target, "lls-provider-spec.yaml"), "wb") as copy:
        copy.write(content)
    listing = {"wheels": list(found), "files": files(found)}
    with open(os.path.join(target, "wheels.json"), "w", encoding="ascii") as file:
        json.dump({**listing, "python": _PYTHON, "platform": _PLATFORM}, file)
    os.rename(os.path.join(staging, "packages"), os.path.join(target, "packages"))
    shutil.rmtree(staging)
    _say(f"Successfully installed provider: {_ID}")


def _empty(target: str) -> None:
    """Remove what is in a directory, which itself may be a mount and stays."""
    os.makedirs(target, exist_ok=True)
    for entry in os.scandir(target):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _warn_of_servers_own(names: Iterable[str]) -> None:
    for name in filter(_SERVERS_OWN.match, names):
        text = f"External provider '{_ID}' (image: {_IMAGE}) brings {name}"
        hides = "its copy hides the one that belongs to the server"
        _write(sys.stderr.fileno(), f"WARNING: {text}: {hides}\n")


def _as_named(paths: dict[str, str], staging: str) -> list[str]:
    """Paths for pip, which reads name and version off a file's name and follows links its own way.

    A wheel that is a link to a file of another name gets a link of ours, right to that file.
    """
    given = []
    for name, path in paths.items():
        own = os.path.join(staging, "wheels", name)
        if os.path.basename(path) != name:
            os.symlink(os.path.abspath(path), own)
        given.append(own if os.path.islink(own) else path)
    return given


def _run_pip(paths: list[str], staging: str) -> None:
    """Install into the staging directory, and pass on what pip says.

    Its temporary files are there, too, so that nothing has to be copied between volumes. Without
    bytecode: it would hold temporary paths, and differ between providers that bring the same.

    Raises:
        InstallFailed: pip failed.
    """
    command = [
        sys.executable, "-I", "-m", "pip", "--isolated", "install", *paths,
        "--target", os.path.join(staging, "packages"),
        "--no-index", "--find-links", inside(_PACKAGES), "--no-deps",
        "--no-compile", "--no-cache-dir", "--disable-pip-version-check",
    ]  # fmt: skip
    said: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
    with subprocess.Popen(  # noqa: S603 -- of this program's own making, and no shell
        command,
        env=_environment(os.path.join(staging, "tmp")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="backslashreplace",
    ) as pip:
        for line in _lines(pip.stdout):
            said.append(line)
            _say(line)
    if pip.returncode:
        raise _explained(said, pip.returncode)


def _lines(stream: IO[str] | None) -> Iterator[str]:
    """Printable lines, none of them endless."""
    while stream is not None:
        line = stream.readline(_LINE_CHARS)
        if not line:
            return
        yield printable(line.rstrip("\n").expandtabs())


def _environment(temporary: str) -> dict[str, str]:
    """The image's own, without what would change what pip does."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
    return {"HOME": "/tmp", **kept, "TMPDIR": temporary, "PIP_CONFIG_FILE": os.devnull}  # noqa: S108


def _explained(said: collections.deque[str], code: int) -> InstallFailed:
    """What a failure of pip means."""
    output = "\n".join(said).strip() + "\n"
    unsupported = next(filter(None, map(_UNSUPPORTED.match, said)), None)
    if unsupported:
        reason = f"Wheel {unsupported[1]} does not match {_PLATFORM}, Python {_PYTHON}"
        return _cannot_install(_REBUILD, reason, output)
    if _NO_SPACE_TEXT in output:
        return _cannot_install(_MORE_SPACE, _NO_SPACE_TEXT, output)
    if "No module named pip" in output:
        return _cannot_install(_OTHER_PYTHON, f"Python {_PYTHON} has no pip", output)
    if code < 0:
        return _cannot_install(_MORE_MEMORY, f"pip was killed by signal {-code}", output)
    return _cannot_install(_CHECK_WHEELS, output=output)


def _of_system(error: OSError, target: str) -> InstallFailed:
    """What an error of the system means."""
    if error.errno in _NO_SPACE:
        return _cannot_install(_MORE_SPACE, _NO_SPACE_TEXT)
    closed = error.errno in {errno.EACCES, errno.EPERM}
    in_image = not str(error.filename).startswith(target)
    reason = printable(f"{error.strerror}: {error.filename}")
    return _cannot_install(_MAKE_READABLE if closed and in_image else _LOOK_AT_NODE, reason)


def main() -> NoReturn:
    """Run the program."""
    os.umask(0o022)
    target = os.environ.get("INSTALL_TARGET", "/opt/llama-stack/external-providers")
    try:
        install(target)
    except (InstallFailed, OSError) as error:
        report(error if isinstance(error, InstallFailed) else _of_system(error, target))
        sys.exit(1)
    sys.exit(0)


if __name__ == "__main__":
    main()
