# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The real server with a config: boot it, ask it, read its log, stop it.

A server gets a directory of its own as its home and for its log and config file, and an
environment that holds nothing of ours: a developer's ``OPENAI_API_KEY`` must not make a config
work. ``${env.RUN_DIR}`` in a config is that directory, and writable.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import aiohttp

from hack.cluster.ports import free_port
from hack.cluster.process import Program
from hack.servers.bed import Bed
from hack.servers.errors import BootFailed, ServerAnswered
from hack.servers.releases import Release

_POLL_S = 0.05
_PROBE_S = 2.0
_ANSWER_S = 30.0
_GRACE_S = 5.0
_TAIL_CHARS = 3000
_LOG_WIDTH = "500"  # a line that is wrapped cannot be searched; shorter ones are filled with blanks

_ERROR = re.compile(r"^(?:[\w.]*\.)?\w*(?:Error|Exception|Exit|Group)\b.*$|^\S+: error: .*$")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class LlamaServer:
    """One server; an asynchronous context manager that boots it.

    Args:
        bed: the installed servers.
        release: which one.
        config: the text of its ``config.yaml``.
        env: its environment variables, beside the few that every program needs.
        tls: whether it answers by HTTPS: true without looking at the certificate, or a context.
        deadline_s: how long booting may take.
    """

    def __init__(
        self,
        bed: Bed,
        release: Release,
        config: str,
        env: Mapping[str, str] | None = None,
        *,
        tls: bool | ssl.SSLContext = False,
        deadline_s: float = 90.0,
    ) -> None:
        self.release = release
        self._bed, self._config, self._env = bed, config, dict(env or {})
        self._tls = _insecure() if tls is True else tls or None
        self._deadline_s = deadline_s
        self._port = 0
        self._directory: Path | None = None
        self._program: Program | None = None
        self._session: aiohttp.ClientSession | None = None
        self._exit = AsyncExitStack()
        self._log = ""

    @property
    def url(self) -> str:
        """Without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def log(self) -> str:
        """What the server wrote so far, without colours."""
        if self._program is not None:
            lines = _ANSI.sub("", self._program.output()).splitlines()
            self._log = "\n".join(line.rstrip() for line in lines)
        return self._log

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON that the server answers to GET.

        Raises:
            ServerAnswered: an error status.
        """
        return await self.ask("GET", path, headers=headers)

    async def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON that the server answers to POST.

        Raises:
            ServerAnswered: an error status.
        """
        return await self.ask("POST", path, body=body, headers=headers)

    async def upload(self, path: str, name: str, content: bytes, **fields: str) -> Any:
        """The JSON that the server answers to a file in a form.

        Raises:
            ServerAnswered: an error status.
        """
        form = aiohttp.FormData(fields)
        form.add_field("file", content, filename=name)
        return await self.ask("POST", path, form=form)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        form: aiohttp.FormData | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON that the server answers; its text if that is no JSON.

        Raises:
            ServerAnswered: an error status.
            TimeoutError: no answer in 30 s.
        """
        if self._session is None:
            raise RuntimeError("the server was not entered")
        async with self._session.request(
            method,
            f"{self.url}{path}",
            json=body,
            data=form,
            headers=headers,
            ssl=self._tls or True,
        ) as response:
            text = await response.text()
            if response.status >= 400:
                msg = f"{method} {path}: {response.status}: {text[:_TAIL_CHARS]}"
                raise ServerAnswered(msg, status=response.status, body=text)
            if response.content_type == "application/json":
                return await response.json()
            return text

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            household = self._bed.household
            self._directory = directory = household.place(self.release.slug)
            stack.callback(household.clear, directory)
            (directory / "home").mkdir()
            (directory / "config.yaml").write_text(self._config, encoding="utf-8")
            self._port = await asyncio.to_thread(free_port)
            self._program = program = Program(
                name=directory.name,
                command=self._command(directory),
                log=directory / "server.log",
                directory=directory,
            )
            household.start(program)
            stack.push_async_callback(self._stop)
            timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
            # A connection each: after an error of its own the server closes the one it came by.
            connector = aiohttp.TCPConnector(force_close=True)
            session = aiohttp.ClientSession(timeout=timeout, connector=connector)
            self._session = await stack.enter_async_context(session)
            await self._wait_until_healthy(program)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._exit.aclose()

    def _command(self, directory: Path) -> list[str]:
        inside = self._bed.inside(directory)
        program, *words = self.release.command
        command = self._bed.command(self.release, program)
        environment = {
            "HOME": f"{inside}/home",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "LLAMA_STACK_LOG_WIDTH": _LOG_WIDTH,
            "OGX_LOG_WIDTH": _LOG_WIDTH,
            "PYTHONUNBUFFERED": "1",
            "RUN_DIR": inside,
            "LLAMASTACK_BED_TOKENIZER": "bytes",
            "HF_HUB_OFFLINE": "1",
            **self._env,
        }
        clean = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items())]
        # Clean right before the program: what enters a chroot comes first.
        executable = command.pop()
        command += [*clean, executable, *words, f"{inside}/config.yaml", "--port", str(self._port)]
        if self.release.package == "ogx" and not self._tls:
            command.append("--insecure")  # it refuses plain HTTP otherwise
        return command

    async def _wait_until_healthy(self, program: Program) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                while not await self._is_healthy():
                    if not program.running():
                        raise self._failure("did not boot")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise self._failure(f"is not up after {self._deadline_s:.0f} s") from error

    async def _is_healthy(self) -> bool:
        if self._session is None:
            return False
        probe = aiohttp.ClientTimeout(total=_PROBE_S)
        try:
            async with self._session.get(
                f"{self.url}/v1/health", ssl=self._tls or True, timeout=probe
            ) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _failure(self, what: str) -> BootFailed:
        log = self.log()
        error = last_error(log)
        msg = f"{self.release.name} {what}: {error}\n…{log[-_TAIL_CHARS:]}"
        return BootFailed(msg, error=error, log=log)

    async def _stop(self) -> None:
        if self._program is not None:
            program, household = self._program, self._bed.household
            await asyncio.to_thread(household.stop, program, grace=_GRACE_S)
            self.log()
            self._program = None


def last_error(log: str) -> str:
    """The last unindented line that names an exception, with what belongs to its message.

    A pydantic error says in its first line only how many there are, so its indented lines are
    appended.
    """
    lines = log.splitlines()
    found = [i for i, line in enumerate(lines) if _ERROR.match(line)]
    if not found:
        return next((line.strip() for line in reversed(lines) if line.strip()), "(it said nothing)")
    index = found[-1]
    message = [lines[index]]
    if "validation error" in lines[index]:
        message += [line.strip() for line in lines[index + 1 : index + 12] if line.strip()]
    return " ".join(message)


def _insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
