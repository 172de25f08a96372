# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Drives a case: spec → config → the server's classes → the booted server → what arrived where.

Cases run side by side, each in a thread with an event loop of its own, because most of a case is
waiting for a server to start. The servers' classes are asked through one process a release, which
serves one thread at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import ClientError, web

from api.v1alpha2 import parse
from configs import connection, engine, eras, yaml_reader
from configs.base import EmbeddedBaseConfigs
from configs.defaults import DATA_VARIABLE, FILES_VARIABLE
from configs.distributions import Distributions
from configs.engine import Generated
from configs.errors import ConfigError
from configs.secrets import EnvFromSecret
from configs.server import TLS_FOLDER
from hack.servers.bed import Bed
from hack.servers.endpoint import OpenAIEndpoint
from hack.servers.errors import BedError, BootFailed
from hack.servers.releases import Release
from hack.servers.server import LlamaServer
from hack.servers.validator import Validator
from tests.support import bases
from tests.support.matrix.case import Capabilities, Case, Json, Outcome, Running, Services, value_of
from tests.support.matrix.certificates import write_certificate
from tests.support.matrix.probes import EMBEDDING, MODEL

NAME, NAMESPACE = "demo", "team-a"

_DISTRIBUTIONS = Distributions.load()
_BOOT_S = 240.0  # several workers on a busy machine are killed and started again for a while
_LISTINGS, _LISTING_S = 40, 0.25
"""A server lists its models again while it already answers, and is incomplete meanwhile."""


class Endpoint(OpenAIEndpoint):
    """Everything that is asked for by HEAD is there, such as a bucket."""

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response()
        return await super()._answer(request, body)


class Driver:
    """Drives cases; a context manager. ``drive`` may be called from several threads.

    Args:
        bed: the installed servers.
        services: databases that they share.
    """

    def __init__(self, bed: Bed, services: Services) -> None:
        self._bed = bed
        self._services = services
        self._lock = threading.Lock()
        self._validators: dict[Release, tuple[threading.Lock, Validator]] = {}
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *error: object) -> None:
        self._exit.close()

    def drive(self, case: Case) -> Outcome:
        """What comes of a case; never raises for what the case itself leads to."""
        return asyncio.run(self._drive(case))

    async def _drive(self, case: Case) -> Outcome:
        started = time.monotonic()
        place = self._bed.household.place("matrix")
        try:
            async with Endpoint(models=(MODEL, EMBEDDING)) as endpoint:
                around = Capabilities(endpoint, self._services, _database(case))
                return await self._prove(case, around, place)
        except (AssertionError, BedError, ClientError, ConfigError, TimeoutError) as error:
            seconds = time.monotonic() - started
            return Outcome(case, failure=str(error) or repr(error), seconds=seconds)
        finally:
            self._bed.household.clear(place)

    async def _prove(self, case: Case, around: Capabilities, place: Path) -> Outcome:
        sections = case.spec(around)
        generated = generate(case, sections)
        text, env = self._prepare(case, sections, generated, around, place)
        report = await asyncio.to_thread(self._check, case.release, text, env)
        assert report.ok, "the server's classes find: " + "; ".join(report.lines())
        started = time.monotonic()
        server = LlamaServer(self._bed, case.release, text, env, tls=case.tls, deadline_s=_BOOT_S)
        try:
            await server.__aenter__()
        except BootFailed as failure:
            if not case.why:
                raise
            if case.refused not in failure.error:
                raise BedError(f"it ended for another reason: {failure.error}") from failure
            return Outcome(case, proven=("classes",), seconds=time.monotonic() - started)
        try:
            seconds = time.monotonic() - started
            assert not case.why, f"it boots: it does not lack anything ({case.why})"
            running = Running(case, server, around, generated)
            proven = ["classes", "boots", await _listed(running), await _models(running)]
            proven += [await probe(running) for probe in case.probes]
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"{error!r}\n…{server.log()[-2000:]}") from error
        finally:
            await server.__aexit__(None, None, None)
        return Outcome(
            case, tuple(dict.fromkeys(filter(None, proven))), booted=True, seconds=seconds
        )

    def _prepare(
        self,
        case: Case,
        sections: Json,
        generated: Generated,
        around: Capabilities,
        place: Path,
    ) -> tuple[str, Mapping[str, str]]:
        """Config and environment, with the folders of this machine in the place of a pod's."""
        text = generated.config_yaml
        assert text is not None, "there is no config to boot"
        given = case.secrets(around) if case.secrets else {}
        env = environment(generated, given) | _overrides(sections)
        folder = self._bed.inside(place)
        env = {DATA_VARIABLE: folder, FILES_VARIABLE: f"{folder}/files"} | env
        if case.tls:
            write_certificate(place)
            text = text.replace(TLS_FOLDER, folder)
        return text, env

    def _check(self, release: Release, text: str, env: Mapping[str, str]) -> Any:
        with self._lock:
            if release not in self._validators:
                validator = self._exit.enter_context(Validator(self._bed, release))
                self._validators[release] = threading.Lock(), validator
            lock, validator = self._validators[release]
        with lock:
            return validator.check(text, env)


def generate(case: Case, sections: Json) -> Generated:
    """What the engine makes of a case.

    Raises:
        ConfigError: it refuses the spec.
    """
    named = {"name": case.distribution} if case.distribution else {"image": bases.IMAGE}
    obj = {
        "apiVersion": "llamastack.io/v1alpha2",
        "kind": "LlamaStackDistribution",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"distribution": named, **sections},
    }
    source = EmbeddedBaseConfigs() if case.distribution else _labels(case.release)
    return engine.generate(
        NAME, NAMESPACE, parse(obj).spec, distributions=_DISTRIBUTIONS, bases=source
    )


def _labels(release: Release) -> bases.LabelResolver:
    return bases.LabelResolver(next(era for era in eras.ERAS if era == release.era))


def environment(generated: Generated, given: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """The variables that the pod would have.

    Args:
        generated: what the engine made.
        given: values of Secrets that are not the usual ones.
    """
    derived: Mapping[str, str] = {}
    if generated.storage_secret is not None:
        wanted = {
            (s.name, s.key): value_of(s.name, s.key) for s in generated.storage_secret.sources
        }
        derived = connection.derive(generated.storage_secret, {**wanted, **given})
    env = {}
    for variable in generated.env:
        if not isinstance(variable, EnvFromSecret):
            env[variable.name] = variable.value
        elif variable.name in derived:
            env[variable.name] = derived[variable.name]
        else:
            source = variable.secret_name, variable.key
            env[variable.name] = given.get(source, value_of(*source))
    return env


async def _listed(running: Running) -> str:
    """Every provider of the config is listed, with its type."""
    config = yaml_reader.load(running.generated.config_yaml or "")
    wanted = {
        (api, entry["provider_id"], entry["provider_type"])
        for api, entries in config["providers"].items()
        for entry in entries
        if "${env." not in entry["provider_id"]
    }
    answer = await running.server.get("/v1/providers")
    listed = {(i["api"], i["provider_id"], i["provider_type"]) for i in answer["data"]}
    missing = sorted(wanted - listed)
    assert not missing, f"not listed: {missing}"
    return "providers"


async def _models(running: Running) -> str:
    """Every registered model is listed under the name that the status shows."""
    wanted = set(running.generated.models)
    if not wanted:
        return ""
    listed: set[str] = set()
    for _ in range(_LISTINGS):
        listed = {item["id"] for item in (await running.server.get("/v1/models"))["data"]}
        if listed >= wanted:
            return "models"
        await asyncio.sleep(_LISTING_S)
    raise AssertionError(f"models not listed: {sorted(wanted - listed)}, only {sorted(listed)}")


def _overrides(sections: Json) -> dict[str, str]:
    """The user's own variables, which the pod gets, too."""
    overrides = sections.get("workload", {}).get("overrides", {})
    return {item["name"]: item["value"] for item in overrides.get("env", ())}


def _database(case: Case) -> str:
    # Not from the name: the server takes a URL with "sqlite" anywhere in it for one of SQLite.
    return f"case_{hashlib.sha256(case.id.encode()).hexdigest()[:12]}"
