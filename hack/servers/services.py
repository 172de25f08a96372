# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Redis and PostgreSQL for one test or one session: synchronous context managers.

Each listens on a free port of 127.0.0.1, keeps its data in a directory of its own without waiting
for the disk, and is gone with its data at the end. Ports are picked and may be taken by the time a
program binds; then another one is tried.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

from hack.cluster.errors import ProcessFailedError
from hack.cluster.ports import free_port
from hack.cluster.process import Program
from hack.servers.bed import Bed
from hack.servers.errors import BedError
from hack.servers.household import Household

_START_SECONDS = 30.0
_PORT_ATTEMPTS = 3
_COMMAND_SECONDS = 60.0
_NOBODY = 65534


class Service:
    """What all of them share: a program, a directory, a port."""

    name = ""

    def __init__(self, bed: Bed) -> None:
        self.port = 0
        self._bed = bed
        self._directory: Path | None = None
        self._program: Program | None = None

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def household(self) -> Household:
        """Who cleans up."""
        return self._bed.household

    @property
    def directory(self) -> Path:
        """Its data, as seen from this machine."""
        if self._directory is None:
            raise BedError(f"{self.name} was not entered")
        return self._directory

    def __enter__(self) -> Self:
        self._directory = self.household.place(self.name)
        try:
            self._prepare()
            for attempt in range(1, _PORT_ATTEMPTS + 1):
                try:
                    self.start()
                    break
                except ProcessFailedError as error:
                    if attempt == _PORT_ATTEMPTS or "in use" not in error.output.lower():
                        raise BedError(str(error)) from error
                    self.stop()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        if self._directory is not None:
            self.household.clear(self._directory)

    def start(self) -> None:
        """Start it, on the port that it had before if it was stopped; wait until it answers.

        Raises:
            ProcessFailedError: it ended, or does not answer.
        """
        port = self.port or free_port()
        self._program = Program(
            name=self.directory.name,
            command=self._command(port),
            log=self.directory / "log",
            directory=self.directory,
            environment={"LANG": "C.UTF-8"},
        )
        self.household.start(self._program)
        self._program.wait_until(self._answers(port), seconds=_START_SECONDS)
        self.port = port

    def stop(self) -> None:
        """Stop it at once, as a crash would; ``start`` brings it back with its data."""
        if self._program is not None:
            self.household.stop(self._program)
            self._program = None

    def log(self) -> str:
        """What it wrote since its latest start."""
        return "" if self._program is None else self._program.output()

    def _prepare(self) -> None:
        """Whatever has to be there before the first start."""

    def _command(self, port: int) -> list[str]:
        raise NotImplementedError

    def _answers(self, port: int) -> Callable[[], bool]:
        return lambda: _accepts(port)

    def _run(self, command: list[str], *, stdin: str = "", **environment: str) -> str:
        try:
            result = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=_COMMAND_SECONDS,
                check=False,
                cwd=self.directory,
                env={**os.environ, "LANG": "C.UTF-8", **environment},
            )
        except subprocess.TimeoutExpired as error:
            msg = f"{self.name}: a command took longer than {_COMMAND_SECONDS:.0f} s"
            raise BedError(msg) from error
        if result.returncode:
            raise BedError(f"{self.name}: {result.stderr.strip() or result.stdout.strip()}")
        return result.stdout.strip()


class Redis(Service):
    """A Redis server without persistence.

    Args:
        bed: where the program is.
        password: of the default user; empty for none.
    """

    name = "redis"

    def __init__(self, bed: Bed, password: str = "") -> None:
        super().__init__(bed)
        self.password = password

    def cli(self, *arguments: str) -> str:
        """What ``redis-cli`` prints.

        Raises:
            BedError: it failed.
        """
        command = [*self._bed.program("redis-cli"), "-p", str(self.port), *arguments]
        return self._run(command, REDISCLI_AUTH=self.password)

    def _command(self, port: int) -> list[str]:
        inside = self._bed.inside(self.directory)
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", inside, "--save", ""]
        if self.password:
            options += ["--requirepass", self.password]
        return [*self._bed.program("redis-server"), *options, "--appendonly", "no"]


class Postgres(Service):
    """A PostgreSQL server that asks everybody for a password.

    ``ADMIN`` may do everything; ``password`` is its password, another one each time.
    """

    name = "postgres"
    ADMIN = "admin"

    def __init__(self, bed: Bed) -> None:
        super().__init__(bed)
        self.password = secrets.token_hex(8)

    def database(self, name: str, user: str, password: str) -> None:
        """Make a database and the user who owns it.

        Raises:
            BedError: one of them is there already.
        """
        self.query(f"CREATE ROLE {_identifier(user)} LOGIN PASSWORD {_literal(password)}")
        self.query(f"CREATE DATABASE {_identifier(name)} OWNER {_identifier(user)}")

    def query(self, sql: str, database: str = "postgres") -> str:
        """What a statement returns, as the administrator: a line a row, ``|`` between columns.

        Raises:
            BedError: it failed.
        """
        command = [
            *self._bed.program("psql"),
            "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1",
            "--host=127.0.0.1", f"--port={self.port}", f"--username={self.ADMIN}",
            f"--dbname={database}", f"--command={sql}",
        ]  # fmt: skip
        return self._run(command, PGPASSWORD=self.password)

    def _prepare(self) -> None:
        data = self.directory / "data"
        data.mkdir(mode=0o700)
        secret = self.directory / "password"
        secret.write_text(self.password, encoding="utf-8")
        log = self.directory / "log"
        log.touch()
        if os.getuid() == 0:
            for path in (self.directory, data, secret):
                os.chown(path, _NOBODY, _NOBODY)
        inside = self._bed.inside(self.directory)
        command = [
            *self._bed.unprivileged("initdb"),
            f"--pgdata={inside}/data", "--auth=scram-sha-256", f"--pwfile={inside}/password",
            f"--username={self.ADMIN}", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
        ]  # fmt: skip
        self._run(command)

    def _command(self, port: int) -> list[str]:
        inside = self._bed.inside(self.directory)
        return [
            *self._bed.unprivileged("postgres"), "-D", f"{inside}/data", "-p", str(port),
            "-h", "127.0.0.1", "-k", "", "-F", "-c", "full_page_writes=off",
            "-c", "max_connections=200",
        ]  # fmt: skip

    def _answers(self, port: int) -> Callable[[], bool]:
        def ready() -> bool:
            before, self.port = self.port, port
            try:
                return self.query("SELECT 1") == "1"
            except BedError:
                self.port = before
                return False

        return ready


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _identifier(text: str) -> str:
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
