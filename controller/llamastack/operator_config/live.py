# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The operator's ConfigMap takes effect while the operator runs.

A handler of the informer of that one object. What changed is put where reconciles read it, plans
that were made without it are forgotten, and then everything is looked at, behind whatever is
urgent: the reconciles find out by themselves whom it concerns, so that an image rolls those who use
it and nobody else. Reconciles read both in one go, because all of this runs in one thread.

If the first content ever seen is wrong there is no last good one to keep, and defaults in its place
would replace images and take policies away in the whole cluster. Then nothing holds, and whoever
starts the workers waits (:attr:`LiveConfig.problem`); what runs is not touched meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from controller.llamastack.objects.kinds import OPERATOR_CONFIG_NAME
from controller.llamastack.operator_config.parse import OperatorConfig, read
from informers.ports import key_of
from workqueue import LOW_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controller.llamastack.planning.planner import Planner
    from controller.llamastack.render.inputs import Options
    from controller.runtime.handlers import Adder
    from controller.runtime.ports import EventRecorder
    from informers.ports import Object

log = structlog.get_logger(__name__)

INVALID: Final = "InvalidOperatorConfig"
UNKNOWN: Final = "UnknownOperatorConfig"
_ACTION: Final = "ReadOperatorConfig"


class LiveConfig:
    """What holds now; implements ``informers.dispatch.Handler``.

    Args:
        planner: is given the distributions.
        queue: gets every resource when something changed.
        resources: the custom resources.
        recorder: Events.
        options: settings that shape children, but for what the ConfigMap says.
    """

    def __init__(
        self,
        *,
        planner: Planner,
        queue: Adder,
        resources: Callable[[], Iterable[Object]],
        recorder: EventRecorder,
        options: Options,
    ) -> None:
        self._planner = planner
        self._queue = queue
        self._resources = resources
        self._recorder = recorder
        self._options = options
        self._config: OperatorConfig | None = None
        self._reported_version = ""  # version of the object whose mistakes were told
        self.problem = "the ConfigMap was not read yet"

    @property
    def options(self) -> Options:
        """Settings that shape children, as they are now."""
        return self._options

    def on_add(self, obj: Object, *, initial: bool) -> None:
        """The ConfigMap is there."""
        self.take(obj)

    def on_update(self, old: Object, new: Object) -> None:
        """It changed, or is shown again."""
        self.take(new)

    def on_delete(self, obj: Object, *, final_state_unknown: bool) -> None:
        """It is gone: the defaults hold."""
        self.take(None)

    def take(self, obj: Object | None) -> None:
        """Let the content hold, as far as it is right.

        Args:
            obj: the ConfigMap; ``None`` if there is none.
        """
        names = self._planner.distributions.known
        reading = read((obj or {}).get("data") or {}, self._config, names=names)
        if obj is not None:
            self._tell(obj, reading.errors, reading.warnings)
        self.problem = ""
        if reading.config is None:
            self.problem = f"ConfigMap {OPERATOR_CONFIG_NAME}: {'; '.join(reading.errors)}"
        elif reading.config != self._config:
            self._switch(reading.config)

    def _switch(self, config: OperatorConfig) -> None:
        self._config = config
        self._options = replace(self._options, network_policies=config.network_policies)
        self._planner.use(self._planner.distributions.overridden(dict(config.image_overrides)))
        for resource in self._resources():
            self._queue.add(key_of(resource), priority=LOW_PRIORITY)
        log.info(
            "Took the operator's configuration",
            network_policies=config.network_policies,
            image_overrides=dict(config.image_overrides),
        )

    def _tell(self, obj: Object, errors: tuple[str, ...], warnings: tuple[str, ...]) -> None:
        version = obj["metadata"].get("resourceVersion", "")
        if version == self._reported_version:
            return
        self._reported_version = version
        stays = (
            "What was last read holds until it is corrected"
            if self._config
            else "The operator does nothing until it is corrected"
        )
        for reason, texts, hint in (
            (INVALID, errors, stays),
            (UNKNOWN, warnings, "It is left out"),
        ):
            for text in texts:
                log.warning("Found a mistake in the operator's configuration", detail=text)
                self._recorder.event(
                    obj, type="Warning", reason=reason, action=_ACTION, note=f"{text}. {hint}"
                )
