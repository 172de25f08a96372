# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""``provider check``: its flags, what it says where, and its exit status."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from api.external_apis import API_OF_SECTION
from llamastack_operator.__main__ import build_parser, main
from llamastack_operator.cli import provider as command
from tests.support import image_archives as archives
from tests.support.provider_check import files_of
from tests.support.provider_wheels import ProviderImage, Wheel, image, with_native

OK = "OK: type remote::echo, module echo_provider, api inference, 1 wheel\n"


def check(*words: object) -> int:
    return main(["provider", "check", *map(str, words)])


@pytest.fixture
def good(tmp_path: Path) -> Path:
    image("good").write(tmp_path / "good")
    return tmp_path / "good"


def test_good_image(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(good) == 0

    assert capsys.readouterr() == (f"{good}: {OK}", "")


def test_bad_image_is_told_as_in_a_pod(
    tmp_path: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (good / "lls-provider/lls-provider-spec.yaml").unlink()

    assert check("--id", "my-echo", good) == 1

    out, err = capsys.readouterr()
    assert out == (
        f"ERROR: Missing /lls-provider/lls-provider-spec.yaml in image {good}\n\n"
        f"Provider: my-echo\nImage: {good}\nInit Container: install-provider-my-echo\n\n"
        "Resolution: Add the file /lls-provider/lls-provider-spec.yaml to the provider image and "
        "push a new tag.\n\n"
    )
    assert err == ""


def test_warnings_and_notes_do_not_get_between(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = image("missing-dependency")
    text = made.metadata_text.replace("vendor:", "other: 1, vendor:")
    replace(made, metadata=text).write(tmp_path / "image")

    assert check(tmp_path / "image") == 0

    out, err = capsys.readouterr()
    assert out == f"{tmp_path}/image: {OK}"
    assert err == (
        f"WARNING: Provider 'echo-provider' (image: {tmp_path}/image): lls-provider-spec.yaml: "
        "unknown field metadata.other is ignored\n"
        "NOTE: 'echo-provider' needs of the server: nowhere-to-be-found>=2\n"
    )


def test_several_images(tmp_path: Path, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Wheel("two", files={"two/provider.py": "", "echo_provider/config.py": "another"})
    ProviderImage((other,), package="two").write(tmp_path / "two")

    assert check(good, tmp_path / "two", "--id", "one", "--id", "two") == 1

    out, _ = capsys.readouterr()
    assert out.startswith(f"{good}: {OK}ERROR: Cannot install provider 'two' due to dependency")
    assert f"by provider 'one' ({good})\n" in out


def test_archive_says_its_platform(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = with_native("native.abi3.so", 62)
    layer = archives.tar_of({**files_of(made), "etc/passwd": b""})
    config = {"os": "linux", "architecture": "arm64"}
    (tmp_path / "image.tar").write_bytes(archives.docker_save([layer], config))

    assert check(tmp_path / "image.tar") == 1
    out, err = capsys.readouterr()
    assert "Expected architecture: linux/arm64\nFound architecture: linux/x86_64\n" in out
    assert "the image has no python3, so it can only be delivered by image volumes" in err

    assert check(tmp_path / "image.tar", "--platform", "linux/amd64") == 0
    out, err = capsys.readouterr()
    assert out.endswith(OK)
    assert f"WARNING: {tmp_path}/image.tar is an image for linux/arm64\n" in err


def test_python_may_be_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_native("native.cpython-313-x.so", 62).write(tmp_path / "image")

    assert check(tmp_path / "image") == 1
    assert check(tmp_path / "image", "--python", "3.13") == 0

    assert "Expected ABI: cpython-312\n" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [("--section", "vectorIo"), ("--api", "vector_io")])
def test_section_of_the_resource(
    good: Path, flags: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(good, *flags) == 1

    out = capsys.readouterr().out
    assert out.startswith("ERROR: Provider API type mismatch\n")
    assert "but is placed under externalProviders.vectorIo\n" in out


def test_every_section_may_be_named_by_its_api(good: Path) -> None:
    for section, api in API_OF_SECTION.items():
        expected = int(section != "inference")
        assert check(good, "--section", section) == check(good, "--api", api) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("gone",),
            "gone: No such file or directory; an image in a registry or in a store has to be saved "
            "first: podman save --format oci-archive -o image.tar IMAGE",
        ),
        (("text",), "text: it is no tar archive, or a broken one"),
        (("good", "--platform", "windows/amd64"),
         "--platform: windows/amd64 is no platform such as linux/amd64"),
        (("good", "--python", "2.7"), "--python: 2.7 is no version such as 3.12"),
        (("good", "good", "--id", "one"), "--id: give it once for each PATH, or not at all"),
        (("good", "good", "--section", "eval"),
         "--section: give it once for each PATH, or not at all"),
        (("good", "good", "--api", "eval"), "--api: give it once for each PATH, or not at all"),
        (("good", "--id", "My_Id"), "--id: My_Id is no providerId: lower case letters, digits and "
         "'-', at most 63 characters"),
        (("good", "--id", "a" * 64), "--id: " + "a" * 64 + " is no providerId: lower case letters, "
         "digits and '-', at most 63 characters"),
        (("good", "good", "--id", "a", "--id", "a"),
         "--id: a is given twice; an id is unique in a server"),
    ],
)  # fmt: skip
def test_what_cannot_begin(
    good: Path,
    words: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(good.parent)
    Path("text").write_text("x" * 1000)

    assert check(*words) == 2

    assert capsys.readouterr() == ("", f"error: {said}\n")


def test_very_many_failures_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {f"packages/{number}.whl": b"" for number in range(103)}
    replace(image("good"), files=files).write(tmp_path / "image")

    assert check(tmp_path / "image") == 1

    out = capsys.readouterr().out
    assert out.count("ERROR: ") == 100
    assert out.endswith(f"{tmp_path}/image: and 3 more\n\n")


def test_path_is_shown_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    image("good").write(tmp_path / "two\nlines")

    assert check("two\nlines") == 0

    assert capsys.readouterr().out == f"two\\nlines: {OK}"


def test_help_of_check_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        check("--help")

    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "\nexit status: 0 " in text
    assert all(section in text for section in API_OF_SECTION)
    examples = re.findall(r"^  python -m llamastack_operator (.*)$", text, re.MULTILINE)
    assert len(examples) == 4
    for words in map(shlex.split, examples):
        assert build_parser(words[0]).parse_args(words).action is command.run


def test_check_has_to_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["provider"])

    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
