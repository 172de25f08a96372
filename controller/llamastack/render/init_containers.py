# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""What installs external providers before the server starts (FR-X012, FR-X013).

In the order of the resource one container a provider, which puts the packages of its image into a
directory of its own; then ``merge-config``, of the operator's image, which makes one tree of
packages and one configuration of all; then ``preflight``, of the server's image, which loads the
providers once. An image of others sees nothing of another one's directory, no value of a Secret,
and no text of the user in a command: what it has to know is in variables.

A pod without external providers has none of this.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from api.v1alpha2.references import CONFIG_KEY
from configs.external import containers, paths
from controller.llamastack.objects.installs import INPUT_VOLUME, PACKAGES_VOLUME, SCRATCH_VOLUME
from controller.llamastack.objects.quantities import amount
from controller.llamastack.render import install_input
from controller.llamastack.render.environment import CONFIG_VOLUME
from controller.llamastack.render.images import pull_policy
from controller.llamastack.render.user import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from api.v1alpha2.external import ExternalInstall
    from configs.installs import Install
    from controller.llamastack.render.inputs import Inputs, Mounts
    from informers.ports import Object

MERGED_VOLUME: Final = "config-merge"

REVISION: Final = "1"
"""Of what the merge makes of its input. Another number rolls every server with external providers,
so it changes only where the same input comes to another configuration, or to other packages."""

_MERGED_SIZE: Final = "16Mi"
_SCRATCH: Final = "/tmp"  # noqa: S108 -- a volume of its own for each container
_REQUESTS: Final = {"cpu": "100m", "memory": "256Mi"}
_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def init_containers(inputs: Inputs, server: dict[str, Any]) -> list[dict[str, Any]]:
    """All of them; none without external providers.

    Args:
        inputs: of the children.
        server: the server's container, whose image, variables and mounts the preflight shares.
    """
    if not inputs.installs:
        return []
    found = [_install(inputs, install, server) for install in inputs.installs]
    found.append(_merge(inputs))
    if runs_preflight(inputs):
        found.append(_preflight(server))
    return found


def runs_preflight(inputs: Inputs) -> bool:
    """Whether the providers are loaded once before the server is.

    Not where the user says what runs: that may be in another Python than the image's own.
    """
    overrides = inputs.spec.workload.overrides
    return inputs.options.preflight and not (overrides.command or overrides.args)


def preflight_note(inputs: Inputs) -> str:
    """What should be known of a preflight that does not take place; empty if all is as usual."""
    if not inputs.installs or not inputs.options.preflight or runs_preflight(inputs):
        return ""
    field = "command" if inputs.spec.workload.overrides.command else "args"
    return (
        f"spec.workload.overrides.{field} says what runs, so providers are not loaded before it; "
        "what cannot be loaded is told by the log of the server"
    )


def merge_image_of(deployment: Object) -> str:
    """The image that merges in the pods of a live Deployment; empty if none does."""
    spec = deployment["spec"]["template"]["spec"]
    images = {c["name"]: c.get("image", "") for c in spec.get("initContainers") or ()}
    return str(images.get(containers.MERGE, ""))


def volumes(inputs: Inputs, mounts: Mounts) -> list[dict[str, Any]]:
    """What these containers and the server share."""
    if not inputs.installs:
        return []
    size = _size(inputs)
    found: list[dict[str, Any]] = [
        {"name": PACKAGES_VOLUME, "emptyDir": {"sizeLimit": size}},
        {"name": MERGED_VOLUME, "emptyDir": {"sizeLimit": _MERGED_SIZE}},
        {"name": INPUT_VOLUME, "configMap": _input(inputs, mounts)},
        {"name": SCRATCH_VOLUME, "emptyDir": {"sizeLimit": size}},
    ]
    if inputs.options.image_volumes:
        found += [_image_volume(install) for install in inputs.installs]
    return found


def server_mounts(inputs: Inputs) -> list[dict[str, Any]]:
    """What the server reads of it."""
    if not inputs.installs:
        return []
    return [_mount(PACKAGES_VOLUME, paths.ROOT), _mount(MERGED_VOLUME, paths.CONFIG)]


def _install(inputs: Inputs, install: Install, server: dict[str, Any]) -> dict[str, Any]:
    provider = install.provider
    environment = {
        "PROVIDER_ID": provider.provider_id,
        "PROVIDER_IMAGE": provider.image,
        "INIT_CONTAINER_NAME": install.container,
    }
    mounts: list[dict[str, Any]] = [
        {
            "name": PACKAGES_VOLUME,
            "mountPath": paths.ROOT,
            "subPath": f"{paths.STAGED}/{provider.provider_id}",
        },
        {
            "name": INPUT_VOLUME,
            "mountPath": f"{paths.TOOLS}/{paths.INSTALL_SCRIPT}",
            "subPath": paths.INSTALL_SCRIPT,
            "readOnly": True,
        },
    ]
    image, policy = provider.image, provider.image_pull_policy
    if inputs.options.image_volumes:
        image, policy = server["image"], server["imagePullPolicy"]
        environment["PROVIDER_ROOT"] = paths.PROVIDER_IMAGE
        mounts.append(_mount(install.container, paths.PROVIDER_IMAGE))
    return _container(
        inputs,
        install.container,
        image,
        policy,
        command=["python3", f"{paths.TOOLS}/{paths.INSTALL_SCRIPT}"],
        environment=environment,
        mounts=mounts,
    )


def _merge(inputs: Inputs) -> dict[str, Any]:
    image = inputs.options.merge_image
    return _container(
        inputs,
        containers.MERGE,
        image,
        pull_policy(image),
        command=[paths.MERGE_PROGRAM],
        arguments=[
            f"--metadata-dir={paths.ROOT}/{paths.STAGED}",
            f"--packages-output={paths.PACKAGES}",
            f"--extra-providers-output={paths.EXTRA_PROVIDERS}",
            f"--output={paths.MERGED_CONFIG}",
            f"--base={paths.BASE}/{CONFIG_KEY}",
            f"--crd-config-dir={paths.INPUT}",
            f"--log-output={paths.MERGE_LOG}",
        ],
        mounts=[
            {"name": PACKAGES_VOLUME, "mountPath": paths.ROOT},
            {"name": MERGED_VOLUME, "mountPath": paths.CONFIG},
            _mount(CONFIG_VOLUME, paths.BASE),
            _mount(INPUT_VOLUME, paths.INPUT),
        ],
    )


def _preflight(server: dict[str, Any]) -> dict[str, Any]:
    """What the server will be, but for what it runs: it would load the same code there."""
    mounts = [*server["volumeMounts"], _mount(INPUT_VOLUME, paths.INPUT)]
    if all(mount["mountPath"].rstrip("/") != _SCRATCH for mount in mounts):
        mounts.append(_scratch(containers.PREFLIGHT))
    return {
        "name": containers.PREFLIGHT,
        "image": server["image"],
        "imagePullPolicy": server["imagePullPolicy"],
        "command": [
            "python3",
            f"{paths.INPUT}/{paths.PREFLIGHT_SCRIPT}",
            f"--run-yaml={paths.MERGED_CONFIG}",
            f"--metadata-dir={paths.ROOT}/{paths.STAGED}",
            f"--crd-config-dir={paths.INPUT}",
            f"--packages-dir={paths.PACKAGES}",
        ],
        "env": server["env"],
        "resources": server["resources"],
        "volumeMounts": mounts,
        "securityContext": dict(_SECURITY),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _container(
    inputs: Inputs,
    name: str,
    image: str,
    policy: str,
    *,
    command: list[str],
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    mounts: Iterable[dict[str, Any]],
) -> dict[str, Any]:
    variables = {**environment, "HOME": _SCRATCH, "TMPDIR": _SCRATCH}
    made: dict[str, Any] = {
        "name": name,
        "image": image,
        "imagePullPolicy": policy,
        "command": command,
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "resources": _resources(inputs),
        "volumeMounts": [*mounts, _scratch(name)],
        "securityContext": dict(_SECURITY),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return {**made, "args": list(arguments)} if arguments else made


def _resources(inputs: Inputs) -> dict[str, Any]:
    """The user's values win, and ours give way: a request above its limit is refused."""
    install = _asked(inputs)
    given = plain(install.resources) if install and install.resources else {}
    asked, limits = given.get("requests", {}), given.get("limits", {})
    memory = inputs.options.install_memory
    limits = {"memory": max((memory, asked.get("memory", memory)), key=_bytes), **limits}
    least = {
        name: min((value, limits.get(name, value)), key=_bytes) for name, value in _REQUESTS.items()
    }
    return {"requests": {**least, **asked}, "limits": limits}


def _bytes(quantity: str | int) -> Decimal:
    return amount(quantity) or Decimal(0)


def _size(inputs: Inputs) -> str | int:
    install = _asked(inputs)
    asked = install.size_limit if install else None
    return inputs.options.install_size if asked is None else asked  # zero is no limit


def _asked(inputs: Inputs) -> ExternalInstall | None:
    external = inputs.spec.external_providers
    return external.install if external else None


def _input(inputs: Inputs, mounts: Mounts) -> dict[str, Any]:
    """Without the configuration, which is mounted on its own, and is the user's sometimes."""
    items = [{"key": name, "path": name} for name in install_input.names(inputs)]
    return {"name": mounts.installs_name, "items": items}


def _image_volume(install: Install) -> dict[str, Any]:
    provider = install.provider
    source = {"reference": provider.image, "pullPolicy": provider.image_pull_policy}
    return {"name": install.container, "image": source}


def _mount(volume: str, path: str) -> dict[str, Any]:
    return {"name": volume, "mountPath": path, "readOnly": True}


def _scratch(container: str) -> dict[str, Any]:
    """For temporary files; nobody finds those of another container."""
    return {"name": SCRATCH_VOLUME, "mountPath": _SCRATCH, "subPath": container}
