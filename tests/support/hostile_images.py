# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Images of providers that do harm, or try to, and more of those that are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.support.provider_wheels import ProviderImage, Wheel, image, with_spec

PYTHON: Final = "usr/local/bin/python3"
"""What an install container starts."""

_FINE: Final = "return Spec(**FINE)"


def module(name: str, *more: Wheel, requires: tuple[str, ...] = ()) -> ProviderImage:
    """A good provider in a package of its own, so that two of them fit together."""
    files = {
        path.replace("echo_provider", name): text.replace("echo_provider", name)
        for path, text in with_spec(_FINE).wheels[0].files.items()
        if isinstance(text, str)
    }
    wheel = Wheel(name.replace("_", "-"), files=files, requires=requires)
    return ProviderImage((wheel, *more), package=name)


def described(text: str) -> ProviderImage:
    return replace(image("good"), metadata=text)


BOMB: Final = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    + [
        f"{n}: &{n} [{', '.join(f'*{p}' for _ in range(10))}]"
        for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    ]
)
WRONG_FIELDS: Final = """\
apiVersion: llamastack.io/v9
kind: "$(touch /tmp/evil)"
metadata: {name: "`id`", version: one, vendor: '"; rm -rf / #'}
spec:
  packageName: os; import pty
  providerType: "remote::$(id)"
  api: "telemetry\\nERROR: gotcha"
  wheelPath: ../../../../etc/passwd
  dependencyWheels: [packages/nowhere.whl, "/etc/shadow"]
"""
MEDDLER: Final = """\
#!/bin/sh
# What is the others': nothing of this may succeed.
root=/opt/llama-stack
for target in $root/config/run.yaml $root/crd-config/base.json $root/tools/install.py \\
    $root/external-providers/../my-good $root/external-providers/../../my-good/evil \\
    $root/base-config/config.yaml /etc/evil /evil /lls-provider/evil; do
  if echo evil > $target; then echo "MEDDLED $target"; fi
done
for target in $root/config $root/base-config $root/crd-config $root/external-providers/staged; do
  if ls $target; then echo "SAW $target"; fi
done
env | grep -i -e secret -e vllm -e said && echo "SAW a variable"
/usr/bin/python3.13 "$@" || exit $?
# What is its own, and looks like the others'.
ln -s /etc/passwd $root/external-providers/packages/echo_provider/stolen.py
ln -s ../../my-good/packages $root/external-providers/packages/other
"""
GREEDY: Final = """\
#!/bin/sh
/usr/bin/python3.13 "$@" || exit $?
exec head -c 1G /dev/zero >/opt/llama-stack/external-providers/packages/data.bin
"""
HUNGRY: Final = """\
#!/bin/sh
exec /usr/bin/python3.13 -c 'kept = b"x" * (1 << 28)'
"""
WAITS: Final = "#!/bin/sh\nexec sleep 3600\n"
