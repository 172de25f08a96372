#!/bin/sh
# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

# Makes .venv, or brings it up to date: what requirements-dev.lock pins, and this project in
# editable form. Needs Python 3.11 or later with its own venv module, and nothing else; whatever
# is missing is said in one line. PYTHON names an interpreter; otherwise the first that fits is
# taken. `make` calls this when the lock changed.
set -eu

cd "$(dirname "$0")/.."
fits='import sys; sys.exit(sys.version_info < (3, 11))'
version='import sys; print(".".join(map(str, sys.version_info[:3])))'

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

python=
found=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    has=$("$candidate" -c "$version" 2>/dev/null) || continue
    found="${found:+$found, }$candidate is $has"
    if "$candidate" -c "$fits"; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 or later is needed (${found:-there is none}): install it \
(Debian, Ubuntu: apt-get install python3 python3-venv), or name one: make PYTHON=/usr/bin/python3.12"
minor=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
"$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python cannot make virtual environments: \
install its venv module (Debian, Ubuntu: apt-get install $minor-venv)"

# One whose interpreter went away, or is too old, is made again; else it is only updated.
clear=
if [ -e .venv ] && ! .venv/bin/python -c "$fits" 2>/dev/null; then
    clear=--clear
fi
if [ -n "$clear" ] || [ ! -x .venv/bin/pip ]; then
    echo "Making .venv with $minor ($(command -v "$python"))"
    "$python" -m venv $clear .venv || fail "$python could not make .venv, see above"
fi
echo "Installing what requirements-dev.lock pins into .venv"
.venv/bin/python -m pip --disable-pip-version-check install --quiet \
    --require-hashes -r requirements-dev.lock ||
    fail "pip could not install requirements-dev.lock, see above"
.venv/bin/python -m pip --disable-pip-version-check install --quiet \
    --no-deps --no-build-isolation -e . || fail "pip could not install this project, see above"
