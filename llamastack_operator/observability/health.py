# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``/healthz``, ``/readyz`` and ``/metrics``.

The output of the first two is what people know from the API server: ``ok``, or, on a failure and
with ``?verbose``, one line a check. A failing check is named, with its reason: whoever reads the
kubelet's event must not need the log. Checks are plain functions of what is in memory; they never
wait, so an answer also proves that the event loop turns.

The two servers have addresses of their own, so that metrics can be kept from where probes go.
They start first and stop last (D1, D2).
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import structlog
from aiohttp import web

from llamastack_operator.observability.bind import listen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llamastack_operator.observability.bind import BindAddress

    Check: TypeAlias = Callable[[], str | None]
    """What is wrong, in a few words; ``None`` if nothing is."""

log = structlog.get_logger(__name__)

STOP_TIMEOUT_S = 1.0  # for answers under way; a probe must not hold up the end of the process
GZIP_LEVEL = 1  # a scrape is compressed on the event loop: most of the gain, little of the cost
HEADERS: Final = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


class Exposition(Protocol):
    """Metrics as text; ``observability.metrics.Metrics`` has it."""

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the best format that an Accept header allows, and its content type."""
        ...


class Checks:
    """The named checks behind one path."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Add a check.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._checks:
            raise ValueError(f"there is a check named {name} already")
        self._checks[name] = check

    def run(self) -> dict[str, str | None]:
        """Each check and what is wrong. A check that raises has failed."""
        outcomes: dict[str, str | None] = {}
        for name, check in self._checks.items():
            try:
                outcomes[name] = check()
            except Exception as error:  # noqa: BLE001 -- whatever a check raises is its failure
                outcomes[name] = f"the check raised {type(error).__name__}"
        return outcomes


def health_app(*, healthz: Checks, readyz: Checks) -> web.Application:
    """The application behind ``--health-probe-bind-address``."""
    app = web.Application()
    app.router.add_get("/healthz", _answering("healthz", healthz))
    app.router.add_get("/readyz", _answering("readyz", readyz))
    return app


def metrics_app(exposition: Exposition) -> web.Application:
    """The application behind ``--metrics-bind-address``."""

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = exposition.render(request.headers.get("Accept", ""))
        headers = {**HEADERS, "Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if _accepts_gzip(request.headers.get("Accept-Encoding", "")):
            body = gzip.compress(body, GZIP_LEVEL)
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app


class HttpServer:
    """One plain HTTP server, or none if its address is off.

    Args:
        flag: the setting that names the address, for messages.
        address: where to listen.
        app: what to serve.
    """

    def __init__(self, flag: str, address: BindAddress, app: web.Application) -> None:
        self._flag = flag
        self._address = address
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        self._port: int | None = None

    @property
    def port(self) -> int | None:
        """The port that is really bound; ``None`` while the server does not run."""
        return self._port

    async def start(self) -> None:
        """Listen.

        Raises:
            AddressInUse: another process listens there.
            BindError: nothing can listen there.
        """
        if not self._address.enabled:
            return
        listener = listen(self._flag, self._address)
        try:
            await self._runner.setup()
            await web.SockSite(self._runner, listener).start()
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        log.info("Listened", flag=self._flag, host=self._address.host or "*", port=self._port)

    async def stop(self) -> None:
        """Stop listening; answers under way get a second. Safe to call twice, or unstarted."""
        self._port = None
        await self._runner.cleanup()


def _answering(name: str, checks: Checks) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        outcomes = checks.run()
        healthy = all(problem is None for problem in outcomes.values())
        if healthy and "verbose" not in request.query:
            return web.Response(text="ok", headers=HEADERS)
        lines = [
            f"[+]{check} ok" if problem is None else f"[-]{check} failed: {problem}"
            for check, problem in outcomes.items()
        ]
        lines.append(f"{name} check {'passed' if healthy else 'failed'}")
        text = "\n".join(lines) + "\n"
        return web.Response(text=text, status=200 if healthy else 500, headers=HEADERS)

    return answer


def _accepts_gzip(accept_encoding: str) -> bool:
    for offer in accept_encoding.lower().split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
