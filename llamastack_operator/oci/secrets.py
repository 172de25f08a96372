# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""The pull secrets of one question: read, used, forgotten.

As for a pod: the secrets that the spec names, in order; if it names none, those of the
ServiceAccount. A Secret that is missing or unreadable is passed over, as the kubelet does, and
named in the message if the registry accepts no other. No value outlives the question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from controller.llamastack.objects.kinds import SECRET, SERVICE_ACCOUNT
from informers.errors import ApiError, Forbidden, NotFound
from informers.ports import ObjectKey
from llamastack_operator.oci.errors import Unavailable
from llamastack_operator.oci.keyring import BadPullSecret, Keyring, read_secret

if TYPE_CHECKING:
    from controller.llamastack.planning.image_configs import Question
    from informers.ports import Object, Resource
    from llamastack_operator.oci.keyring import Credential
    from llamastack_operator.oci.reference import ImageReference

_HINT = "name one with access in spec.workload.overrides.imagePullSecrets"


class Live(Protocol):
    """The part of ``controller.runtime.ports.Writer`` that is needed."""

    async def get(self, resource: Resource, key: ObjectKey) -> Object:
        """The live object.

        Raises:
            NotFound: there is none.
        """
        ...


class PullSecrets:
    """Reads pull secrets.

    Args:
        live: for live reads; nothing is cached.
    """

    def __init__(self, live: Live) -> None:
        self._live = live

    async def candidates(
        self, question: Question, reference: ImageReference
    ) -> tuple[tuple[Credential, ...], str]:
        """Credentials to try, and what to say when none of them works.

        Raises:
            Unavailable: the cluster did not answer.
        """
        keyring, problems = Keyring(), list[str]()
        names = question.pull_secrets or await self._of_account(question)
        for name in names:
            secret = await self._read(SECRET, ObjectKey(question.namespace, name))
            if secret is None:
                problems.append(f'pull secret "{name}" does not exist')
                continue
            try:
                keyring.add(read_secret(name, secret.get("type", ""), secret.get("data") or {}))
            except BadPullSecret as error:
                problems.append(f'pull secret "{name}" {error}')
        found = keyring.lookup(reference.name)
        return found, _explain(names, found, problems, reference, question.service_account)

    async def _of_account(self, question: Question) -> tuple[str, ...]:
        key = ObjectKey(question.namespace, question.service_account)
        account = await self._read(SERVICE_ACCOUNT, key)
        references = (account or {}).get("imagePullSecrets") or ()
        return tuple(dict.fromkeys(ref["name"] for ref in references if ref.get("name")))

    async def _read(self, resource: Resource, key: ObjectKey) -> Object | None:
        try:
            return await self._live.get(resource, key)
        except (NotFound, Forbidden):
            return None
        except ApiError as error:
            raise Unavailable(f"could not read {resource.kind} {key.name}") from error


def _explain(
    names: tuple[str, ...],
    found: tuple[Credential, ...],
    problems: list[str],
    reference: ImageReference,
    account: str,
) -> str:
    if not names:
        return (
            f"there is no pull secret, neither in the spec nor in ServiceAccount {account}; {_HINT}"
        )
    tried = tuple(dict.fromkeys(credential.secret for credential in found))
    if tried:
        said = f"tried {_listed(tried)}"
    elif len(problems) == len(names):
        return f"{'; '.join(problems)}; {_HINT}"
    else:
        said = f"{_listed(names)} {'has' if len(names) == 1 else 'have'} no entry for "
        said += f"{reference.registry}"
    return "; ".join((said, *problems, _HINT))


def _listed(names: tuple[str, ...]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"pull secret{'' if len(names) == 1 else 's'} {quoted}"
