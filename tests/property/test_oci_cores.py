# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever strangers send: it is understood, or refused in words, and never a surprise."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import tarfile
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llamastack_operator.oci import challenge, keyring, labels, layer, manifests, reference
from llamastack_operator.oci.errors import RegistryError

T = TypeVar("T")


def attempt(read: Callable[[], T]) -> T | str:
    """What came of it; a refusal as the words it was made in."""
    try:
        return read()
    except (RegistryError, keyring.BadPullSecret) as error:
        return f"refused: {error}"


WORDS = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8})?", fullmatch=True)
HOSTS = st.one_of(
    st.just("docker.io"),
    st.from_regex(r"[a-z0-9]{1,8}\.[a-z]{2,3}(:[0-9]{1,5})?", fullmatch=True),
    st.just("localhost"),
    st.just("[::1]:5000"),
)
DIGESTS = st.binary(max_size=4).map(manifests.digest_of)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@given(HOSTS, st.lists(WORDS, min_size=1, max_size=3), st.none() | TAGS, st.none() | DIGESTS)
def test_reference_is_what_it_was_put_together_from(
    host: str, path: list[str], tag: str | None, digest: str | None
) -> None:
    assume(host != "docker.io" or len(path) > 1)
    text = f"{host}/{'/'.join(path)}"
    text += f":{tag}" if tag else ""
    text += f"@{digest}" if digest else ""

    found = reference.parse(text)

    assert (found.registry, found.repository) == (host, "/".join(path))
    assert found.target == (digest or tag or "latest")
    assert reference.parse(str(found)) == found, "the normal form means the same"


@given(st.text(max_size=60) | st.text("aA/:@.-_[]1", max_size=30))
def test_any_text_is_a_reference_or_is_refused(text: str) -> None:
    found = attempt(lambda: reference.parse(text))
    if isinstance(found, str):
        assert found.isprintable()
        return
    # What goes into a URL needs no escaping.
    assert re.fullmatch(r"[a-z0-9._/-]+", found.repository)
    assert re.fullmatch(r"[A-Za-z0-9._:-]+", found.target)
    assert "/" not in found.host
    assert ".." not in found.repository.split("/")


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z]{1,8}", fullmatch=True),
            st.dictionaries(
                st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
                st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
                min_size=1,
                max_size=4,
            ),
        ),
        max_size=3,
    ),
    st.booleans(),
)
def test_challenges_survive_quoting_in_one_header_or_in_several(
    wanted: list[tuple[str, dict[str, str]]], together: bool
) -> None:
    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"')

    written = [
        f"{scheme} " + ", ".join(f'{key}="{quoted(value)}"' for key, value in parameters.items())
        for scheme, parameters in wanted
    ]

    found = challenge.parse([", ".join(written)] if together else written)

    assert [(c.scheme, dict(c.parameters)) for c in found] == [
        (scheme.lower(), parameters) for scheme, parameters in wanted
    ]


@given(st.text(max_size=200) | st.text('Bearer realm="=,\\ ', max_size=80))
def test_any_header_is_read_without_a_surprise(header: str) -> None:
    chosen = challenge.choose(challenge.parse([header]))

    if chosen is not None and chosen.scheme == "bearer":
        try:
            url = challenge.token_url(chosen, "team/image", allow_http=False)
        except RegistryError:
            return
        assert url.startswith("https://")


@given(st.binary(max_size=200) | st.text('{}[]":,tokenabc123', max_size=40).map(str.encode))
def test_any_body_is_understood_or_refused(body: bytes) -> None:
    assert attempt(lambda: challenge.read_token(body))
    assert attempt(lambda: manifests.read_config(body))
    assert attempt(lambda: manifests.read_manifest(body, manifests.OCI_INDEX))
    assert attempt(lambda: manifests.read_manifest(body, manifests.DOCKER_MANIFEST))


@given(
    st.dictionaries(
        st.sampled_from([labels.BASE64, labels.LAYER, labels.PATH, labels.VERSION, labels.ERA]),
        st.text(max_size=20) | st.just("2") | st.just("0.7") | DIGESTS,
    )
)
def test_any_labels_are_read_or_refused(found: dict[str, str]) -> None:
    read = attempt(lambda: labels.read(found))
    if isinstance(read, str):
        assert any(word in read for word in ("label", "version", "the image has"))
        return
    if read is not None:
        assert (read.text is None) == bool(read.layer)


@given(
    st.dictionaries(
        st.text(max_size=30),
        st.none()
        | st.text()
        | st.dictionaries(
            st.sampled_from(["auth", "username", "password"]), st.text(max_size=10) | st.none()
        ),
        max_size=3,
    )
)
def test_any_pull_secret_is_read_or_refused_without_quoting_it(auths: dict[str, object]) -> None:
    text = base64.b64encode(json.dumps({"auths": auths}).encode()).decode()
    data = {".dockerconfigjson": text}
    found = attempt(lambda: keyring.read_secret("s", keyring.DOCKER_CONFIG_JSON, data))
    if isinstance(found, str):
        assert found == "refused: has a key .dockerconfigjson that is no docker config"
        return
    ring = keyring.Keyring()
    ring.add(found)
    assert isinstance(ring.lookup("quay.io/a/b"), tuple)


NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=60).filter(
        lambda part: part not in {".", ".."}
    ),
    min_size=1,
    max_size=4,
).map("/".join)


def archive(
    files: list[tuple[str, bytes]], format: int = tarfile.PAX_FORMAT, prefix: str = ""
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for name, content in files:
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def walk(blob: bytes, path: str, chunk: int = 0, most: int = 4096) -> bytes:
    if not chunk:
        (content,) = (c for c in layer.steps(blob, path, most=most) if c is not None)
        return content
    tar = layer.TarWalk(path, most=most)
    for start in range(0, len(blob), chunk):
        tar.feed(blob[start : start + chunk])
    return tar.result()


@settings(max_examples=60)
@given(
    st.lists(st.tuples(NAMES, st.binary(max_size=1500)), min_size=1, max_size=5),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    st.sampled_from(["", "./", "/"]),
    st.integers(1, 3000),
    st.data(),
)
def test_file_is_found_as_tarfile_finds_it_however_the_bytes_come(
    files: list[tuple[str, bytes]], format: int, prefix: str, chunk: int, data: st.DataObject
) -> None:
    blob = archive(files, format, prefix)
    name, _ = data.draw(st.sampled_from(files))
    expected = next(content for other, content in reversed(files) if other == name)

    assert walk(blob, name, chunk) == expected
    assert walk(blob, name) == expected
    assert walk(gzip.compress(blob), name) == expected
    half = len(blob) // 2
    assert walk(gzip.compress(blob[:half]) + gzip.compress(blob[half:]), name) == expected


@settings(max_examples=60)
@given(st.binary(max_size=40), st.integers(0, 3000), st.booleans())
def test_damaged_layer_is_refused_in_words_or_read(
    damage: bytes, position: int, packed: bool
) -> None:
    blob = archive([("a", b"x" * 700), ("etc/config.yaml", b"version: 2")])
    position = min(position, len(blob))
    broken = blob[:position] + damage + blob[position + len(damage) :]
    if packed:
        broken = gzip.compress(blob)
        position %= len(broken)
        broken = broken[:position] + damage + broken[position + len(damage) :]
    content = attempt(lambda: walk(broken, "etc/config.yaml"))

    assert "layer" in content if isinstance(content, str) else len(content) <= 4096


@given(st.integers(0, 3000))
def test_layer_that_is_cut_off_before_the_end_of_the_file_is_refused(end: int) -> None:
    blob = archive([("a", b"x" * 700), ("b", b"y" * 900)])[: min(end, 1536 + 512 + 900)]
    assume(len(blob) < 1536 + 512 + 900)

    with pytest.raises(RegistryError):
        walk(blob, "b")
