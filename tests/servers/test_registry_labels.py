# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Configs out of the labels of images in a real registry: forms, platforms, access, TLS."""

from __future__ import annotations

import base64
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from hack.servers.bed import Bed
from hack.servers.images import Image, Pusher, TokenServer, layer, tls_files
from hack.servers.registry import Registry, basic, digest
from llamastack_operator.oci import labels, reference
from llamastack_operator.oci.answer_cache import Content
from llamastack_operator.oci.client import Pull, fetch
from llamastack_operator.oci.errors import (
    BadAnswer,
    BadLabel,
    ImageNotFound,
    RegistryError,
    TooLarge,
    Unauthorized,
    Unavailable,
    Untrusted,
)
from llamastack_operator.oci.http import Http
from llamastack_operator.oci.keyring import Credential

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

CONFIG = b"""\
version: 2
distro_name: mine
apis: [inference]
providers:
  inference:
  - {provider_id: a, provider_type: 'remote::vllm', config: {base_url: 'http://a/v1'}}
"""
INLINE = {labels.BASE64: base64.b64encode(CONFIG).decode()}
ALICE = Credential("alices", "alice", "wonder:land")
MALLORY = Credential("mallorys", "mallory", "guess")


def nothing(_: str) -> None:
    return None


@contextlib.asynccontextmanager
async def client(
    registry: Registry, *, ca_file: Path | None = None, plain: bool = True
) -> AsyncIterator[Http]:
    tls = ssl.create_default_context(cafile=ca_file)
    hosts = [registry.host] if plain else []
    async with Http(tls=tls, plain_http=hosts, user_agent="test", call_timeout_s=5) as http:
        yield http


async def read(
    registry: Registry,
    image: str,
    *credentials: Credential,
    ca_file: Path | None = None,
    plain: bool = True,
    architecture: str = "amd64",
    remembered: Callable[[str], Content | None] = nothing,
) -> Content:
    pull = Pull(credentials, "the explanation", remembered, architecture)
    async with client(registry, ca_file=ca_file, plain=plain) as http:
        return await fetch(http, reference.parse(f"{registry.host}/{image}"), pull)


def provider_of(content: Content) -> str:
    assert content.base is not None
    provider: str = content.base.data["providers"]["inference"][0]["provider_id"]
    return provider


@pytest.fixture(scope="module")
def opened(bed: Bed) -> Iterator[Registry]:
    with Registry(bed) as registry:
        yield registry


@pytest.mark.parametrize("docker", [False, True])
async def test_config_is_read_from_the_label(opened: Registry, docker: bool) -> None:
    pushed = Pusher.to(opened).push("inline", "1", Image(INLINE, docker=docker))

    by_tag = await read(opened, "inline:1")
    by_digest = await read(opened, f"inline@{pushed}")

    assert provider_of(by_tag) == "a"
    assert by_tag.base is not None
    assert (by_tag.base.era, by_tag.base.source) == ("0.7", "oci-label")
    assert by_tag.name == by_digest.name == f"{opened.host}/inline@{pushed}"


@pytest.mark.parametrize("spelled", ["as the manifest does", "as the image config does"])
async def test_config_is_read_from_a_layer(opened: Registry, spelled: str) -> None:
    tar = layer({"./app/run.yaml": CONFIG, "app/other": b"x"})
    name = digest(gzip.compress(tar, mtime=0)) if "manifest" in spelled else digest(tar)
    found = {labels.LAYER: name, labels.PATH: "/app/run.yaml", labels.ERA: "0.5-0.6"}
    Pusher.to(opened).push("layered", "1", Image(found, [layer({"bin": b"y"}), tar]))

    content = await read(opened, "layered:1")

    assert provider_of(content) == "a"
    assert content.base is not None
    assert content.base.era == "0.5-0.6"


async def test_image_without_labels_has_no_config(opened: Registry) -> None:
    Pusher.to(opened).push("plain", "1", Image({"maintainer": "x"}))

    assert (await read(opened, "plain:1")).base is None


async def test_index_leads_to_the_image_of_our_platform(opened: Registry) -> None:
    def labelled(provider: str) -> Mapping[str, str]:
        text = CONFIG.replace(b"provider_id: a", f"provider_id: {provider}".encode())
        return {labels.BASE64: base64.b64encode(text).decode()}

    images = [Image(labelled(arch), architecture=arch) for arch in ("arm64", "amd64")]
    pushed = Pusher.to(opened).push_index("multi", "1", images)

    for architecture, expected in (("amd64", "amd64"), ("arm64", "arm64"), ("s390x", "amd64")):
        content = await read(opened, "multi:1", architecture=architecture)
        assert provider_of(content) == expected
        assert content.name.endswith(pushed)


async def test_content_that_is_remembered_is_not_fetched_again(opened: Registry) -> None:
    pushed = Pusher.to(opened).push("again", "1", Image(INLINE))
    asked: list[str] = []
    kept = Content("kept", None, 0)

    def remembered(name: str) -> Content:
        asked.append(name)
        return kept

    assert await read(opened, "again:1", remembered=remembered) is kept
    assert asked == [f"{opened.host}/again@{pushed}"]
    said = [line for line in opened.log().splitlines() if "/v2/again/" in line and '"GET ' in line]
    assert said == [], "HEAD is enough"


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ("absent:1", ImageNotFound, "has no image .*absent:1 \\(404 ?[A-Z_]*\\)"),
        (f"inline@sha256:{'0' * 64}", ImageNotFound, "has no image"),
    ],
)
async def test_image_that_is_not_there_is_said_so(
    opened: Registry, image: str, error: type[RegistryError], message: str
) -> None:
    Pusher.to(opened).push("inline", "1", Image(INLINE))

    with pytest.raises(error, match=message):
        await read(opened, image)


async def test_layer_that_is_not_there_or_too_large_is_refused(opened: Registry) -> None:
    tar = layer({"run.yaml": CONFIG + b"#" * labels.MAX_CONFIG})
    found = {labels.LAYER: digest(tar), labels.PATH: "run.yaml"}
    Pusher.to(opened).push("large", "1", Image(found, [tar]))
    Pusher.to(opened).push("foreign", "1", Image(found))

    with pytest.raises(TooLarge, match=r"'run.yaml' in the layer is \d+ bytes, more than 131072"):
        await read(opened, "large:1")
    with pytest.raises(BadLabel, match="no layer of the image"):
        await read(opened, "foreign:1")


async def test_registry_without_tls_is_not_spoken_to_unless_it_is_allowed(
    opened: Registry,
) -> None:
    with pytest.raises(Untrusted, match=f"--registry-plain-http={opened.host}"):
        await read(opened, "inline:1", plain=False)


async def test_registry_that_is_away_is_said_so(bed: Bed) -> None:
    registry = Registry(bed)
    with registry:
        registry.stop()
        with pytest.raises(Unavailable, match=r"cannot reach .*: connection refused"):
            await read(registry, "inline:1")


async def test_passwords_are_tried_in_order_until_one_fits(bed: Bed) -> None:
    with Registry(bed, htpasswd={ALICE.username: ALICE.password}) as registry:
        header = basic(ALICE.username, ALICE.password)
        Pusher.to(registry, authorization=header).push("private", "1", Image(INLINE))

        assert provider_of(await read(registry, "private:1", ALICE)) == "a"
        assert provider_of(await read(registry, "private:1", MALLORY, ALICE)) == "a"
        for credentials in ((), (MALLORY,)):
            with pytest.raises(Unauthorized) as refused:
                await read(registry, "private:1", *credentials)
            assert str(refused.value) == (
                f"registry {registry.host} refuses to show image {registry.host}/private:1 "
                "(401): the explanation"
            )
        with pytest.raises(ImageNotFound):
            await read(registry, "absent:1", ALICE)


async def test_tokens_are_asked_for_with_passwords_in_order(bed: Bed, tmp_path: Path) -> None:
    with (
        TokenServer(tmp_path, {ALICE.username: ALICE.password}) as tokens,
        Registry(bed, token_realm=tokens.realm) as registry,
    ):
        token = f"Bearer {tokens.token('team/private', 'push', 'pull')}"
        Pusher.to(registry, authorization=token).push("team/private", "1", Image(INLINE))

        assert provider_of(await read(registry, "team/private:1", MALLORY, ALICE)) == "a"

        headers = [basic(c.username, c.password) for c in (MALLORY, ALICE)]
        assert tokens.seen == [(h, ["repository:team/private:pull"]) for h in headers]
        with pytest.raises(Unauthorized, match="the explanation"):
            await read(registry, "team/private:1", MALLORY)
        with pytest.raises(Unauthorized, match="the explanation"):
            await read(registry, "team/private:1")


async def test_public_image_behind_tokens_needs_no_password(bed: Bed, tmp_path: Path) -> None:
    with (
        TokenServer(tmp_path, {}, anonymous=True) as tokens,
        Registry(bed, token_realm=tokens.realm) as registry,
    ):
        token = f"Bearer {tokens.token('public', 'push', 'pull')}"
        Pusher.to(registry, authorization=token).push("public", "1", Image(INLINE))

        assert provider_of(await read(registry, "public:1")) == "a"
        assert [given for given, _ in tokens.seen] == [""]


async def test_private_ca_has_to_be_given(bed: Bed, tmp_path: Path) -> None:
    files = tls_files(tmp_path)
    with Registry(bed, tls=files) as registry:
        Pusher.to(registry, ca_file=files[0]).push("secure", "1", Image(INLINE))

        assert provider_of(await read(registry, "secure:1", ca_file=files[0], plain=False)) == "a"
        with pytest.raises(Untrusted, match="--registry-ca-file") as refused:
            await read(registry, "secure:1", plain=False)
        assert "certificate of 127.0.0.1" in str(refused.value)
        assert "self-signed" in str(refused.value)
        with pytest.raises(BadAnswer, match=r"does not speak HTTP as it should|answered 400"):
            await read(registry, "secure:1", plain=True)
