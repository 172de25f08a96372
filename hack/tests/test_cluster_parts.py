# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The small parts of the control plane: ports, certificates, progress, command line."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from hack.cluster.__main__ import main
from hack.cluster.kubeconfig import write_kubeconfig
from hack.cluster.pki import Pki
from hack.cluster.plane import ControlPlane, PlaneOptions
from hack.cluster.ports import _ephemeral_from, free_port, is_free
from hack.cluster.progress import Progress
from hack.root import ROOT

# --- ports ---------------------------------------------------------------------------------


def test_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_free_port_lies_below_the_range_that_clients_get_theirs_from() -> None:
    ports = {free_port() for _ in range(20)}

    assert len(ports) > 1
    assert all(1024 < port < _ephemeral_from() for port in ports)


# --- certificates --------------------------------------------------------------------------


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_client_certificate_names_user_and_groups_and_is_issued_by_the_client_ca(
    tmp_path: Path,
) -> None:
    pki = Pki(tmp_path / "pki", server_names=("127.0.0.1", "localhost"))

    credential = pki.client_cert("jane", ("team-a", "team-b"))

    certificate = x509.load_pem_x509_certificate(credential.certificate)
    subject = certificate.subject
    assert [n.value for n in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["jane"]
    groups = [n.value for n in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert groups == ["team-a", "team-b"]
    certificate.verify_directly_issued_by(_read(pki.certificate("ca")))
    key = load_pem_private_key(credential.key, password=None)
    assert key.public_key() == certificate.public_key()


def test_front_proxy_is_not_vouched_for_by_the_client_ca(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki", server_names=("127.0.0.1",))
    proxy = _read(pki.certificate("front-proxy"))

    proxy.verify_directly_issued_by(_read(pki.certificate("front-proxy-ca")))
    with pytest.raises(ValueError, match="does not match certificate issuer"):
        proxy.verify_directly_issued_by(_read(pki.certificate("ca")))


def test_keys_and_kubeconfigs_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki", server_names=("127.0.0.1",))
    kubeconfig = write_kubeconfig(
        tmp_path / "conf" / "kubeconfig", server="https://x", ca=pki.ca, user="jane", token="t"
    )

    files = [*pki.directory.iterdir(), kubeconfig]

    assert len(files) > 10
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


# --- progress ------------------------------------------------------------------------------


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_step_is_told_with_its_detail_and_its_end() -> None:
    stream = io.StringIO()
    told = 0

    def detail() -> str:
        nonlocal told
        told += 1
        return f"{told} packages"

    with Progress(stream, every=0.001).step("building it", "a minute", detail):
        while told < 2:
            pass

    lines = stream.getvalue().splitlines()
    assert lines[0] == "control plane: building it, a minute"
    assert lines[1] == "control plane: building it … 0 s, 1 packages"
    assert lines[-1].endswith(f"{told} packages, done")


def test_terminal_rewrites_one_line_that_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = _Terminal()

    with Progress(stream, every=0.001).step("building it", detail=lambda: "x" * 100):
        while stream.getvalue().count("\r") < 3:
            pass

    first, rest = stream.getvalue().split("\n", 1)
    assert first == "control plane: building it"
    *ticks, last = rest.split("\r\x1b[2K")[1:]
    assert {len(tick) for tick in ticks} == {39}
    assert last.endswith("x, done\n")


def test_reader_that_went_away_does_not_stop_the_work() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    stream.close()

    progress.say("nobody listens")
    with progress.step("and on it goes"):
        done = True

    assert done


# --- command line --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [[], ["sideways"], ["up", "--nodes", "-1"], ["up", "--nodes", "x"], ["up", "--port", "80"]],
)
def test_wrong_command_line_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as info:
        main(arguments)

    assert info.value.code == 2
    assert "usage: python -m hack.cluster" in capsys.readouterr().err


def test_help_teaches_the_commands() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "hack.cluster", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert "export KUBECONFIG=$(python -m hack.cluster up)" in result.stdout
    for command in ("up", "down", "status", "run", "binaries"):
        assert f"\n  {command} " in result.stdout or f"    {command} " in result.stdout


def test_status_and_down_where_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--dir", str(tmp_path)]) == 1
    assert main(["down", "--dir", str(tmp_path)]) == 0

    assert capsys.readouterr().err.count(f"nothing runs in {tmp_path}") == 2


def test_failure_is_one_line_and_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "control-plane.json").write_text("{")

    assert main(["status", "--dir", str(tmp_path)]) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/control-plane.json is not the record")


# --- options -------------------------------------------------------------------------------


def test_nodes_need_the_controllers() -> None:
    with pytest.raises(ValueError, match="controller manager"):
        PlaneOptions(nodes=1, controller_manager=False)


def test_down_spares_a_directory_that_was_never_claimed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    plane = ControlPlane({}, PlaneOptions(directory=tmp_path))

    plane.down()

    assert (tmp_path / "thesis.tex").exists()
