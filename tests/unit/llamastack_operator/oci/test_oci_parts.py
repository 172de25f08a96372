# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The cores of the registry client, case by case."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import zlib
from typing import Any

import pytest

from api.v1alpha2.reasons import Reason
from llamastack_operator.oci import challenge, keyring, labels, layer, manifests, reference
from llamastack_operator.oci.errors import BadAnswer, BadLabel, BadReference, TooLarge

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


# --- references ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "normal", "host"),
    [
        ("ubuntu", "docker.io/library/ubuntu:latest", "registry-1.docker.io"),
        ("llamastack/starter:1", "docker.io/llamastack/starter:1", "registry-1.docker.io"),
        ("index.docker.io/a/b", "docker.io/a/b:latest", "registry-1.docker.io"),
        ("docker.io/ubuntu", "docker.io/library/ubuntu:latest", "registry-1.docker.io"),
        ("localhost/a", "localhost/a:latest", "localhost"),
        ("127.0.0.1:5000/a:b", "127.0.0.1:5000/a:b", "127.0.0.1:5000"),
        ("Host/a", "Host/a:latest", "Host"),
        (f"quay.io/a/b:t@{DIGEST}", f"quay.io/a/b:t@{DIGEST}", "quay.io"),
        (f"quay.io/a/b@{DIGEST}", f"quay.io/a/b@{DIGEST}", "quay.io"),
    ],
)
def test_reference_is_completed_as_runtimes_do(text: str, normal: str, host: str) -> None:
    found = reference.parse(text)

    assert str(found) == normal
    assert found.host == host


@pytest.mark.parametrize(
    "text",
    [
        "", "UPPER", "a//b", "quay.io/A/b", "quay.io/a:", "quay.io/a@sha256:abc", "a b",
        "https://quay.io/a", "quay.io/../v2", "user@quay.io/a", "quay.io:port/a", "quay.io/a?x=1",
        f"quay.io/{'a' * 260}", "quay.io/a@md5:" + "a" * 32,
    ],
)  # fmt: skip
def test_what_no_runtime_would_pull_is_refused(text: str) -> None:
    with pytest.raises(BadReference):
        reference.parse(text)


# --- pull secrets --------------------------------------------------------------------------


def secret(name: str, auths: dict[str, Any], *, legacy: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = auths if legacy else {"auths": auths}
    key = ".dockercfg" if legacy else ".dockerconfigjson"
    return keyring.read_secret(
        name,
        keyring.DOCKER_CONFIG if legacy else keyring.DOCKER_CONFIG_JSON,
        {key: base64.b64encode(json.dumps(content).encode()).decode()},
    )


def ring(auths: dict[str, str]) -> keyring.Keyring:
    """User names by key."""
    made = keyring.Keyring()
    made.add(secret("s", {key: {"username": user, "password": "p"} for key, user in auths.items()}))
    return made


@pytest.mark.parametrize(
    ("auths", "image", "users"),
    [
        ({"quay.io": "a"}, "quay.io/team/image", ["a"]),
        ({"https://quay.io": "a"}, "quay.io/team/image", ["a"]),
        ({"quay.io": "a"}, "evil-quay.io/team/image", []),
        ({"quay.io": "a"}, "quay.io.evil.com/team/image", []),
        ({"*.example.com": "a"}, "reg.example.com/x", ["a"]),
        ({"*.example.com": "a"}, "a.reg.example.com/x", []),
        ({"*.example.com": "a"}, "example.com/x", []),
        ({"r*g.example.com": "a", "r[^x]g.example.com": "b"}, "reg.example.com/x", ["b", "a"]),
        ({"r[^e]g.example.com": "a", "[b": "b", "r": "c"}, "reg.example.com/x", []),
        ({"quay.io/team": "t", "quay.io": "a", "quay.io/other": "o"}, "quay.io/team/x", ["t", "a"]),
        ({"quay.io:443": "a"}, "quay.io/x", []),
        ({"127.0.0.1:5000": "a"}, "127.0.0.1:5000/x", ["a"]),
        ({"127.0.0.1:5000": "a"}, "127.0.0.1:5001/x", []),
        ({"https://index.docker.io/v1/": "hub"}, "docker.io/library/ubuntu", ["hub"]),
        ({"index.docker.io": "hub", "docker.io": "d"}, "docker.io/library/ubuntu", ["d", "hub"]),
        ({"https://index.docker.io/v1/": "hub"}, "quay.io/a", []),
        ({"http://[": "bad", "": "bad", "quay.io": "a"}, "quay.io/x", ["a"]),
        ({"user@quay.io": "a"}, "quay.io/x", ["a"]),
    ],
)
def test_credentials_are_matched_as_the_kubelet_does(
    auths: dict[str, str], image: str, users: list[str]
) -> None:
    assert [found.username for found in ring(auths).lookup(image)] == users


def test_candidates_of_several_secrets_come_in_the_order_of_the_secrets() -> None:
    made = keyring.Keyring()
    for name in ("second", "first"):
        made.add(secret(name, {"quay.io": {"username": name, "password": "p"}}))

    assert [found.secret for found in made.lookup("quay.io/x")] == ["second", "first"]


@pytest.mark.parametrize("auth", [b"user:pa:ss", b"user:pa:ss".ljust(12, b"s")])
def test_auth_beats_user_name_and_both_kinds_of_secret_are_read(auth: bytes) -> None:
    encoded = base64.b64encode(auth).decode()
    entry = {"quay.io": {"auth": encoded.rstrip("="), "username": "x"}}

    for legacy in (False, True):
        found = secret("s", entry, legacy=legacy)["quay.io"]
        assert (found.username, found.password) == tuple(auth.decode().split(":", 1))


def test_credential_never_shows_what_it_is() -> None:
    found = secret("s", {"quay.io": {"username": "alice", "password": "hunter2"}})

    assert "hunter2" not in repr(found)
    assert "alice" not in repr(found)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("Opaque", {}, "is of type Opaque, not kubernetes.io/dockerconfigjson"),
        ("", {}, "is of type Opaque, not kubernetes.io/dockerconfigjson"),
        (keyring.DOCKER_CONFIG_JSON, {}, "has no key .dockerconfigjson"),
        (
            keyring.DOCKER_CONFIG_JSON,
            {".dockerconfigjson": base64.b64encode(b"hunter2").decode()},
            "has a key .dockerconfigjson that is no docker config",
        ),
    ],
)
def test_secret_that_is_none_is_refused_without_quoting_it(
    kind: str, data: dict[str, str], message: str
) -> None:
    with pytest.raises(keyring.BadPullSecret) as refused:
        keyring.read_secret("s", kind, data)

    assert str(refused.value) == message


# --- challenges ----------------------------------------------------------------------------


def test_token_is_preferred_to_a_password_and_asked_for_where_the_registry_says() -> None:
    header = 'Basic realm="x", Bearer realm="https://auth.io/token?a=b",service="reg"'
    chosen = challenge.choose(challenge.parse([header]))

    assert chosen is not None
    assert challenge.token_url(chosen, "team/image", allow_http=False) == (
        "https://auth.io/token?a=b&service=reg&scope=repository%3Ateam%2Fimage%3Apull"
    )


@pytest.mark.parametrize(
    "realm", ["http://auth.io/token", "ftp://a", "auth.io", "https://u@a/", "https://a:b/", "x://["]
)
def test_password_is_sent_to_no_token_server_without_tls(realm: str) -> None:
    chosen = challenge.Challenge("bearer", {"realm": realm})

    with pytest.raises(BadAnswer, match="token server that is no"):
        challenge.token_url(chosen, "a", allow_http=False)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\r\\nX: y"}', b"x"])
def test_token_that_cannot_go_into_a_header_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        challenge.read_token(body)


def test_token_may_have_either_name() -> None:
    assert challenge.read_token(b'{"access_token": "a"}') == "a"
    assert challenge.read_token(b'{"token": "t", "access_token": "a"}') == "t"


# --- manifests -----------------------------------------------------------------------------


def index(*platforms: tuple[str, str]) -> manifests.Index:
    entries = [
        {
            "digest": f"sha256:{number:064x}",
            "size": 10,
            "mediaType": manifests.OCI_MANIFEST,
            "platform": {"os": os, "architecture": arch},
        }
        for number, (os, arch) in enumerate(platforms)
    ]
    body = json.dumps({"mediaType": manifests.OCI_INDEX, "manifests": entries}).encode()
    found = manifests.read_manifest(body, "")
    assert isinstance(found, manifests.Index)
    return found


def chosen(found: manifests.Index, architecture: str) -> int:
    return int(found.choose(architecture).digest.removeprefix("sha256:"), 16)


def test_our_platform_is_chosen_and_another_linux_if_ours_is_missing() -> None:
    found = index(
        ("unknown", "unknown"), ("windows", "amd64"), ("linux", "s390x"), ("linux", "arm64")
    )

    assert chosen(found, "s390x") == 2
    assert chosen(found, "amd64") == 3
    with pytest.raises(BadAnswer, match="no manifest for Linux"):
        index(("windows", "amd64")).choose("amd64")


def test_manifest_type_comes_from_the_body_else_from_the_header() -> None:
    config = {"digest": DIGEST, "size": 1, "mediaType": "application/vnd.oci.image.config.v1+json"}
    body = json.dumps({"config": config, "layers": []}).encode()

    read = manifests.read_manifest(body, f"{manifests.OCI_MANIFEST}; charset=utf-8")
    assert isinstance(read, manifests.Manifest)
    with pytest.raises(BadAnswer, match="schema 1"):
        manifests.read_manifest(body, "application/vnd.docker.distribution.manifest.v1+json")


def test_artifact_that_is_no_image_is_refused() -> None:
    config = {"digest": DIGEST, "size": 2, "mediaType": "application/vnd.oci.empty.v1+json"}
    body = json.dumps({"config": config, "layers": []}).encode()

    with pytest.raises(BadAnswer, match="artifact"):
        manifests.read_manifest(body, manifests.OCI_MANIFEST)


def test_body_that_its_digest_does_not_fit_is_refused() -> None:
    manifests.verify(b"x", manifests.digest_of(b"x"), "manifest")
    with pytest.raises(BadAnswer, match="the manifest that the registry sent is not"):
        manifests.verify(b"y", manifests.digest_of(b"x"), "manifest")


# --- labels --------------------------------------------------------------------------------

CONFIG = b"version: 2\nproviders: {inference: [{provider_id: a, provider_type: 'remote::vllm'}]}\n"


def encoded(text: bytes = CONFIG) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({labels.BASE64: "x!"}, "label io.llamastack.config.base64 is not base64"),
        ({labels.BASE64: "A" * 51201}, "is 51201 characters long, more than the 51200 allowed"),
        ({labels.BASE64: "AA==", labels.LAYER: DIGEST}, "keep one form"),
        ({labels.LAYER: DIGEST}, "has io.llamastack.config.layer but not io.llamastack.config.pa"),
        ({labels.PATH: "a"}, "has io.llamastack.config.path but not io.llamastack.config.layer"),
        ({labels.LAYER: "latest", labels.PATH: "a"}, "is no digest: latest"),
        ({labels.LAYER: DIGEST, labels.PATH: "../a"}, "is no path of a file"),
        ({labels.LAYER: DIGEST, labels.PATH: "/"}, "is no path of a file"),
        ({labels.BASE64: "AA==", labels.ERA: "0.9"}, "it can be 0.4, 0.5-0.6, 0.7, ogx"),
    ],
)
def test_label_that_cannot_be_used_is_named(given: dict[str, str], message: str) -> None:
    with pytest.raises(BadLabel) as refused:
        labels.read(given)

    assert message in str(refused.value)
    assert refused.value.reason == Reason.CONFIG_GENERATION_FAILED


@pytest.mark.parametrize("version", ["3", "two", "", "2.0", "9" * 5000])
def test_version_that_is_not_supported_is_refused_before_anything_is_fetched(version: str) -> None:
    with pytest.raises(BadLabel, match="Supported versions: 2") as refused:
        labels.read({labels.BASE64: encoded(), labels.VERSION: version})

    assert refused.value.reason == Reason.UNSUPPORTED_CONFIG_VERSION
    assert len(str(refused.value)) < 200


def test_era_is_that_of_the_label_else_told_by_the_shape() -> None:
    plain = labels.read({labels.BASE64: encoded()})
    named = labels.read({labels.BASE64: encoded(), labels.ERA: "0.5-0.6", labels.VERSION: "2"})

    assert plain is not None
    assert plain.text is not None
    assert named is not None
    assert labels.read_config(plain.text, plain).era == "0.4"
    base = labels.read_config(plain.text, named)
    assert (base.era, base.version, base.source) == ("0.5-0.6", 2, "oci-label")


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        (b"version: 1", Reason.UNSUPPORTED_CONFIG_VERSION, "Unsupported config.yaml version 1."),
        (b"[", Reason.CONFIG_GENERATION_FAILED, "cannot be read"),
        (b"version: 2\nproviders: []", Reason.CONFIG_GENERATION_FAILED, "cannot be used"),
    ],
)
def test_config_that_cannot_be_used_has_the_reason_of_any_base(
    text: bytes, reason: str, message: str
) -> None:
    with pytest.raises(BadLabel, match=message) as refused:
        labels.read_config(text, labels.Labels(text=text))

    assert refused.value.reason == reason


def test_layer_is_found_by_either_of_its_digests_and_only_among_the_images_own() -> None:
    low, high = (manifests.Descriptor(d, 1, "") for d in (DIGEST, OTHER))
    manifest = manifests.Manifest(low, (low, high))
    config = manifests.ImageConfig({}, ("sha256:" + "1" * 64, "sha256:" + "2" * 64))

    assert labels.find_layer(labels.Labels(layer=OTHER), manifest, config) is high
    assert labels.find_layer(labels.Labels(layer=config.diff_ids[0]), manifest, config) is low
    with pytest.raises(BadLabel, match="no layer of the image"):
        labels.find_layer(labels.Labels(layer="sha256:" + "3" * 64), manifest, config)


# --- layers --------------------------------------------------------------------------------


def tar(**members: bytes | str) -> bytes:
    """Files, or symbolic links where the content is a text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def unpack(blob: bytes, path: str = "config", **limits: int) -> bytes:
    found = [c for c in layer.steps(blob, path, most=limits.pop("most", 100), **limits) if c]
    return found[0]


def test_bomb_stops_at_the_limit_and_after_few_steps() -> None:
    blob = gzip.compress(tar(config=b"x", rest=bytes(50_000_000)))
    assert len(blob) < 100_000
    steps = layer.steps(blob, "config", most=100, unpacked=1_000_000)
    taken: list[object] = []

    with pytest.raises(TooLarge, match="unpacks to more than 1000000 bytes"):
        taken.extend(steps)

    assert len(taken) < 10


def test_file_beyond_its_limit_is_refused_by_its_header() -> None:
    with pytest.raises(TooLarge, match="'config' in the layer is 101 bytes, more than 100"):
        unpack(tar(config=bytes(101)))


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (tar(other=b"x"), "there is no file 'config' in the layer"),
        (b"", "there is no file 'config' in the layer"),
        (tar(config="other"), "is a link or a folder"),
        (b"\x28\xb5\x2f\xfd rest", "zstd, which is not supported; use gzip"),
        (b"x" * 1024, "no tar archive"),
        (gzip.compress(tar(config=b"x"), mtime=0)[:-30], "cut off"),
        (b"\x1f\x8bxxxxxxxxxxxxxxxxx", "no valid gzip"),
        (gzip.compress(b"hello", mtime=0), "cut off"),
    ],
)
def test_layer_without_the_file_says_what_is_wrong_with_it(blob: bytes, message: str) -> None:
    with pytest.raises(BadLabel, match=message):
        unpack(blob)


def test_empty_file_is_a_file() -> None:
    found = [c for c in layer.steps(tar(config=b"", x=b"y"), "config", most=9) if c is not None]

    assert found == [b""]


def test_later_entry_of_the_same_name_wins() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for content in (b"old", b"new"):
            info = tarfile.TarInfo("config")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

    assert unpack(buffer.getvalue()) == b"new"


def test_member_that_claims_to_be_huge_takes_no_memory() -> None:
    info = tarfile.TarInfo("other")
    info.size = 1 << 60
    blob = info.tobuf(tarfile.GNU_FORMAT)

    with pytest.raises(BadLabel, match="cut off"):
        unpack(blob)


def test_gzip_with_much_output_at_its_end_is_read_to_the_end() -> None:
    packer = zlib.compressobj(9, wbits=31)
    content = tar(config=b"z", rest=bytes(3_000_000))
    blob = packer.compress(content) + packer.flush()

    assert unpack(blob) == b"z"
