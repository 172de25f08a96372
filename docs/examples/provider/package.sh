#!/bin/sh
# Builds packages/ of a provider image: the wheel of the package in this directory, and those of
# everything it depends on, but for what the server has already.
#
#   python3 -m pip list --format=freeze > server-packages.txt   # where the server is installed
#   sh package.sh
#
# PYTHON           Python with pip, of the minor version and on the platform of the server (python3)
# SERVER_PACKAGES  what the server has, as name==version lines (server-packages.txt)
#
# Dependencies that the server has are resolved to its versions, so that what is built fits to them,
# and then left out: a copy in packages/ would take the place of the server's own.
set -eu
cd "$(dirname "$0")"

python=${PYTHON:-python3}
server=${SERVER_PACKAGES:-server-packages.txt}
if [ ! -s "$server" ]; then
    echo "package.sh: $server is missing. Where the server is installed, write it with" >&2
    echo "  python3 -m pip list --format=freeze > $server" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip wheel --disable-pip-version-check --constraint "$server" --wheel-dir "$work" .

rm -rf packages
mkdir packages
"$python" - "$server" "$work" <<'PYTHON'
import pathlib
import re
import shutil
import sys


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


server, work = sys.argv[1:]
lines = pathlib.Path(server).read_text(encoding="utf-8").splitlines()
left_out = {canonical(line.partition("==")[0].strip()) for line in lines}
left_out |= {"llama-stack", "llama-stack-api", "llama-stack-client", "ogx", "ogx-api", "ogx-client"}

for wheel in sorted(pathlib.Path(work).glob("*.whl")):
    if canonical(wheel.name.partition("-")[0]) in left_out:
        print(f"left out, the server has it: {wheel.name}")
    else:
        shutil.copy(wheel, "packages")
        print(f"packages/{wheel.name}")

spec = pathlib.Path("lls-provider-spec.yaml").read_text(encoding="utf-8")
(named,) = re.findall(r"^\s+wheelPath:\s*(\S+)", spec, re.MULTILINE)
if not pathlib.Path(named.removeprefix("/lls-provider/")).is_file():
    sys.exit(f"package.sh: lls-provider-spec.yaml names {named}, which was not built")
PYTHON
