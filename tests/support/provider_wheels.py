# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Images of external providers as directories: wheels that are made on the spot, and bad ones.

``Wheel`` is one wheel, ``ProviderImage`` the tree below ``/lls-provider``, and ``image`` gives one
for each case that somebody gets wrong. The good one is an inference provider that echoes what it is
asked; it works in every era, because nothing of the server is imported before it is there.
"""

from __future__ import annotations

import base64
import hashlib
import io
import platform
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

PROVIDER: Final = "lls-provider"
METADATA: Final = "lls-provider-spec.yaml"
ECHO_TYPE: Final = "remote::echo"

_MACHINES: Final = {"x86_64": 62, "arm64": 183}
_HOSTILE: Final = "evil\nERROR: gotcha $(id) `id` 'x' \x1b[31m"

ECHO_FILES: Final[Mapping[str, str]] = {
    "echo_provider/__init__.py": '''
async def get_adapter_impl(config, _deps):
    from .echo import EchoAdapter

    return EchoAdapter(config)
''',
    "echo_provider/config.py": '''
from pydantic import BaseModel


class EchoConfig(BaseModel):
    prefix: str = "echo: "
''',
    "echo_provider/provider.py": '''
try:
    from llama_stack_api import Api, RemoteProviderSpec
except ImportError:
    from ogx_api import Api, RemoteProviderSpec


def get_provider_spec():
    return RemoteProviderSpec(
        api=Api.inference,
        adapter_type="echo",
        provider_type="remote::echo",
        config_class="echo_provider.config.EchoConfig",
        module="echo_provider",
        pip_packages=["echo-provider"],
    )
''',
    "echo_provider/echo.py": '''
import time
import uuid

try:
    from llama_stack_api import Model, ModelType, OpenAIChatCompletion
except ImportError:
    from ogx_api import Model, ModelType, OpenAIChatCompletion


class EchoAdapter:
    model_store = None  # the routing table puts it there

    def __init__(self, config):
        self.config = config

    async def initialize(self): ...

    async def shutdown(self): ...

    async def health(self):
        return {"status": "OK"}

    async def list_models(self):
        made = {"identifier": "echo-1", "provider_resource_id": "echo-1"}
        return [Model(provider_id=self.__provider_id__, model_type=ModelType.llm, **made)]

    async def should_refresh_models(self):
        return False

    async def register_model(self, model):
        return model

    async def unregister_model(self, model_id): ...

    async def openai_chat_completion(self, params):
        text = self.config.prefix + str(params.messages[-1].content)
        message = {"role": "assistant", "content": text}
        return OpenAIChatCompletion.model_validate({
            "id": "chatcmpl-" + uuid.uuid4().hex, "object": "chat.completion",
            "created": int(time.time()), "model": params.model,
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        })

    async def openai_completion(self, params):
        raise NotImplementedError

    async def openai_embeddings(self, params):
        raise NotImplementedError

    async def openai_chat_completions_with_reasoning(self, params):
        raise NotImplementedError

    async def rerank(self, request):
        raise NotImplementedError
''',
}  # fmt: skip


@dataclass(frozen=True)
class Wheel:
    """A wheel.

    Attributes:
        name: of the distribution.
        version: of the distribution.
        files: path in the wheel → content.
        requires: its requirements, as ``Requires-Dist`` has them.
        tag: what its name says that it fits.
    """

    name: str
    version: str = "1.0.0"
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    tag: str = "py3-none-any"

    @property
    def filename(self) -> str:
        """As pip wants it."""
        return f"{self._stem}-{self.tag}.whl"

    @property
    def _stem(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}"

    def content(self) -> dict[str, bytes]:
        """Every file in it, RECORD last."""
        info = f"{self._stem}.dist-info"
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in self.requires]
        pure = "true" if self.tag.endswith("-any") else "false"
        wheel = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {self.tag}\n"
        files = {path: _bytes(content) for path, content in self.files.items()}
        files[f"{info}/METADATA"] = _bytes("\n".join([*lines, ""]))
        files[f"{info}/WHEEL"] = _bytes(wheel)
        record = [f"{path},{_digest(content)},{len(content)}" for path, content in files.items()]
        files[f"{info}/RECORD"] = _bytes("\n".join([*record, f"{info}/RECORD,,", ""]))
        return files

    def build(self) -> bytes:
        """The archive; the same for the same wheel."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as out:
            for path, content in self.content().items():
                out.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
        return archive.getvalue()

    def unpack(self, directory: Path) -> None:
        """Write what pip would install of it."""
        for path, content in self.content().items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_bytes(content)


@dataclass(frozen=True)
class ProviderImage:
    """What an image has below ``/lls-provider``.

    Attributes:
        wheels: the first is the provider's.
        package: that the provider is in.
        provider_type: in the metadata.
        api: in the metadata.
        metadata: text of the metadata; made if it is None, left out if empty.
        packages: whether there is a directory of packages.
        files: more files, by their path below ``/lls-provider``.
        links: path below ``/lls-provider`` → where it leads.
    """

    wheels: tuple[Wheel, ...]
    package: str = "echo_provider"
    provider_type: str = ECHO_TYPE
    api: str = "inference"
    metadata: str | None = None
    packages: bool = True
    files: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def metadata_text(self) -> str:
        """The metadata."""
        if self.metadata is not None:
            return self.metadata
        return f"""\
apiVersion: llamastack.io/v1alpha1
kind: ProviderPackage
metadata: {{name: {self.package}, version: 1.0.0, vendor: tests}}
spec:
  packageName: {self.package}
  providerType: {self.provider_type}
  api: {self.api}
  wheelPath: /lls-provider/packages/{self.wheels[0].filename if self.wheels else "none.whl"}
"""

    def write(self, root: Path) -> Path:
        """Make it the image whose root directory is ``root``; the directory of the provider."""
        top = root / PROVIDER
        top.mkdir(parents=True)
        if self.metadata_text:
            (top / METADATA).write_text(self.metadata_text, encoding="utf-8")
        if self.packages:
            (top / "packages").mkdir()
            for wheel in self.wheels:
                (top / "packages" / wheel.filename).write_bytes(wheel.build())
        for path, content in self.files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(content)
        for path, leads in self.links.items():
            (top / path).symlink_to(leads)
        return top

    def stage(self, directory: Path) -> None:
        """Write what ``install.py`` leaves of it, without pip."""
        for wheel in self.wheels:
            wheel.unpack(directory / "packages")
        names = ", ".join(f'"{wheel.filename}"' for wheel in self.wheels)
        (directory / METADATA).write_text(self.metadata_text, encoding="utf-8")
        (directory / "wheels.json").write_text(f'{{"wheels": [{names}]}}', encoding="utf-8")


def elf(machine: int) -> bytes:
    """The beginning of a 64-bit little-endian library for a machine, by its number in ELF."""
    return struct.pack("<4sBBBB8xHHI", b"\x7fELF", 2, 1, 1, 0, 3, machine, 1) + bytes(40)


def this_machine() -> str:
    """As messages call it."""
    return platform.machine().replace("aarch64", "arm64")


def other_machine() -> str:
    """One that this is not."""
    return "x86_64" if this_machine() == "arm64" else "arm64"


def machine_number(name: str) -> int:
    """Its number in ELF."""
    return _MACHINES[name]


def echo_wheel(**files: str) -> Wheel:
    """The good provider.

    Args:
        files: other content, by the name of a module of the package.
    """
    changed = {f"echo_provider/{name}.py": text for name, text in files.items()}
    return Wheel("echo-provider", files={**ECHO_FILES, **changed})


def with_spec(body: str) -> ProviderImage:
    """A provider that imports nothing, and whose ``get_provider_spec`` has this body.

    ``Spec`` makes an object of keywords there; ``FINE`` has those of a good one.
    """
    module = f"""
from types import SimpleNamespace as Spec

FINE = dict(provider_type="{ECHO_TYPE}", api="inference", config_class="echo_provider.C")


def get_provider_spec():
    {body}
"""
    return ProviderImage((echo_wheel(provider=module, __init__=""),))


def with_native(name: str, machine: int) -> ProviderImage:
    """A provider with a native extension of this file name, compiled for that machine."""
    good = with_spec("return Spec(**FINE)")
    extension = {f"echo_provider/{name}": elf(machine)}
    wheel = replace(good.wheels[0], files={**good.wheels[0].files, **extension})
    return replace(good, wheels=(wheel,))


def _good() -> ProviderImage:
    return ProviderImage((echo_wheel(),))


def _with(*more: Wheel, requires: tuple[str, ...] = ()) -> ProviderImage:
    good = with_spec("return Spec(**FINE)")
    return replace(good, wheels=(replace(good.wheels[0], requires=requires), *more))


_CASES: Final[Mapping[str, Callable[[], ProviderImage]]] = {
    "good": _good,
    "abi3": lambda: with_native("native.abi3.so", _MACHINES[this_machine()]),
    "wrong-abi": lambda: with_native("native.cpython-39-x-y.so", _MACHINES[this_machine()]),
    "wrong-architecture": lambda: with_native("native.abi3.so", _MACHINES[other_machine()]),
    "missing-metadata": lambda: replace(_good(), metadata=""),
    "missing-packages": lambda: replace(_good(), packages=False),
    "empty-packages": lambda: replace(_good(), wheels=()),
    "corrupt-wheel": lambda: replace(
        _good(), wheels=(), files={"packages/corrupt-1.0-py3-none-any.whl": b"this is no archive"}
    ),
    "unsupported-wheel": lambda: ProviderImage((replace(echo_wheel(), tag="cp39-cp39-win32"),)),
    "hostile-name": lambda: replace(
        _good(), files={f"packages/{_HOSTILE}-1.0-py3-none-any.whl": b"", f"{_HOSTILE}.txt": b""}
    ),
    "llama-stack": lambda: _with(Wheel("llama-stack", "0.0.1")),
    "missing-dependency": lambda: _with(requires=("nowhere-to-be-found>=2",)),
    "list-of-specs": lambda: with_spec(
        "return [Spec(**{**FINE, 'provider_type': 'inline::other'}), Spec(**FINE)]"
    ),
    "spec-none": lambda: with_spec("return None"),
    "spec-raises": lambda: with_spec("raise RuntimeError('no spec today')"),
    "import-exits": lambda: ProviderImage((echo_wheel(provider="raise SystemExit(0)\n"),)),
    "import-hangs": lambda: ProviderImage(
        (echo_wheel(__init__="import threading\nthreading.Event().wait()\n"),)
    ),
    "wheel-links-out": lambda: replace(
        _good(), wheels=(), links={"packages/passwd-1.0-py3-none-any.whl": "/etc/passwd"}
    ),
}

CASES: Final = tuple(_CASES)
"""Every name that ``image`` takes."""


def image(case: str) -> ProviderImage:
    """The image of a case.

    Raises:
        KeyError: there is no such case.
    """
    return _CASES[case]()


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _digest(content: bytes) -> str:
    found = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={found.decode().rstrip('=')}"
