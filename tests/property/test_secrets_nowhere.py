# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""No value of a Secret in anything that somebody may read.

The engine is never given one. Two places are: ``connection.derive``, whose result is the content of
another Secret, and the resolver of Secrets, which judges values and forgets them. What is planted
here consists of letters that no message of ours has in that order, so that any four characters of
it in a row are a leak (``LONGEST``).
"""

from __future__ import annotations

import asyncio
import base64
import json
import traceback

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.v1alpha2 import SecretKeySelector
from api.v1alpha2.references import secret_refs
from configs import connection
from configs.connection import ConnectionStringError, StorageSecret, StorageValue
from configs.eras import ERAS
from configs.secrets import EnvFromSecret
from controller.llamastack.objects.kinds import SECRET
from controller.llamastack.references.resolver import with_storage
from controller.llamastack.references.storage_content import Content
from controller.llamastack.references.storage_secret import StorageSecrets
from controller.llamastack.render.inputs import Inputs
from controller.llamastack.status import events
from controller.llamastack.status.compute import compute
from controller.llamastack.status.facts import Facts
from informers.errors import Invalid
from informers.ports import ObjectKey, Resource
from tests.support.config_specs import spec_of
from tests.support.fakeapi.client import FakeClient
from tests.support.fakeapi.objects import Json, encoded
from tests.support.fakeapi.operator import MemoryOperator
from tests.support.fakeapi.server import FakeApi
from tests.support.spec_strategies import AnySpec, any_valid_spec, plan_of

LONGEST = 3
"""Characters of a value in a row that may be in a message by chance."""

_LATIN = "QXZJKVWqxzjkvw0123456789"
"""For connection strings: names of parameters and ports are of these characters."""

_FOREIGN = "ЖФЮЯЩжфюящ"
"""For whole resources, in which ids and hashes have any Latin letter and digit."""

_SEPARATORS = st.sampled_from(
    ["", "@", ":", "/", "?", "#", "%", "%4", "%40", "&", "=", "'", '"', "\\", " ", ",", "[", "]",
     "://", "?sslmode=", "&sslmode=require", "é", "\n", "\0", "${env.", "}"]
)  # fmt: skip
_STARTS = st.sampled_from(
    ["", "postgresql://", "postgres://", "postgresql+asyncpg://", "mysql://", "postgresql:",
     "host=", "user=", "password=", "host='", "host=h user="]
)  # fmt: skip


@st.composite
def connections(draw: st.DrawFn, alphabet: str) -> str:
    """What is, or might be taken for, a connection string."""
    word = st.text(alphabet, max_size=9)
    several = st.lists(st.tuples(word, _SEPARATORS), min_size=1, max_size=7)
    pieces = several.map(lambda pairs: "".join(one + other for one, other in pairs))
    if draw(st.booleans()):
        return draw(_STARTS) + draw(pieces)
    whole = st.text(alphabet, min_size=4, max_size=9)
    parts = {name: draw(whole) for name in ("user", "password", "host", "dbname")}
    parts["port"] = draw(st.sampled_from(["5432", "", "0", "99999", "QXZJ"]))
    parts[draw(st.sampled_from(sorted(parts)))] = draw(pieces)
    if draw(st.booleans()):
        return " ".join(f"{name}={value}" for name, value in parts.items())
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**parts)


def leaks(value: str, text: str, letters: str = _LATIN) -> list[str]:
    """Pieces of a value, with some of the letters, in a text; names of parameters are no secret."""
    plain = value.casefold()
    for known in ("postgresql+asyncpg", "postgresql", "postgres", "mysql", "sslmode", "require",
                  "password=", "dbname=", "host=", "user=", "port=", "://", "${env."):  # fmt: skip
        plain = plain.replace(known, "\1")
    pieces = (plain[at : at + LONGEST + 1] for at in range(len(plain) - LONGEST))
    shown = text.casefold()
    secret = set(letters.casefold())
    return [piece for piece in pieces if piece in shown and secret & set(piece)]


def _asked_for(family: str, *, redis: bool) -> StorageSecret:
    source = SecretKeySelector(name="s", key="k")
    parts = {"KV": connection.KV_PARTS, "SQL": connection.SQL_PARTS}[family]
    values = tuple(
        StorageValue(f"{family}_{part}", source, part, family, "spec.storage", redis)  # type: ignore[arg-type]
        for part in (("password_encoded",) if redis else parts)
    )
    return StorageSecret("own", values)


@given(value=connections(_LATIN), family=st.sampled_from(["KV", "SQL"]), redis=st.booleans())
@example(value="postgresql://QXZJ:12?KVWQ=ZZZZ@KKKK/QQQQ", family="SQL", redis=False)
@example(value="XQZJ=KVWQ", family="KV", redis=False)
@example(value="postgresql://QXZJ:KV#WQ@host", family="KV", redis=False)
def test_an_error_about_a_connection_string_has_nothing_of_it(
    value: str, family: str, redis: bool
) -> None:
    asked, said, content = _asked_for(family, redis=redis), "", {}
    try:
        content = connection.derive(asked, {("s", "k"): value})
    except ConnectionStringError as error:
        said = f"{error!r} {error.__cause__!r}"

    assert content or said.startswith("ConnectionStringError('spec.storage: ")
    assert "\\n" not in said
    assert leaks(value, said) == []
    assert family != "SQL" or redis or "sqlite" not in "".join(content.values())


# --- the whole way of a resource ------------------------------------------------------------------


def _cluster(spec: AnySpec, values: dict[str, str]) -> FakeClient:
    """Every Secret that a resource names has all the values; no other Secret can be written."""
    client = FakeClient(FakeApi())
    for reference in secret_refs(spec_of(spec.sections)):
        client.api.put(SECRET, ObjectKey("team-a", reference.name), data=encoded(**values))
    client.api.admission.append(_refuse)
    return client


def _refuse(resource: Resource, old: Json | None, new: Json) -> Json:
    """As an admission plug-in that says what it got."""
    del resource, old
    data = {key: base64.b64decode(value).decode() for key, value in new["data"].items()}
    causes = tuple(("FieldValueInvalid", key, value) for key, value in data.items())
    raise Invalid(f"denied: {new} {data}", code=422, reason="Invalid", causes=causes)


async def _said_when_refused(storage: StorageSecrets, inputs: Inputs, content: Content) -> str:
    """All that a log can show of a write that an admission plug-in answers with what it got."""
    with pytest.raises(Invalid) as caught:
        await storage.write(inputs, content, None)
    said = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert "left out" in said
    for value in content.data.values():
        assert len(value) <= LONGEST or value not in said
    return said


async def _outputs(spec: AnySpec, values: dict[str, str]) -> list[str]:
    """Everything that somebody may read about a resource, with the Secrets holding ``values``."""
    resource, plan = plan_of(spec)
    generated = plan.generated or spec.generate()
    outputs = [repr(plan), repr(generated), str(generated.config_yaml)]
    operator = MemoryOperator(_cluster(spec, values))
    converted = frozenset(
        item.path for item in generated.env if isinstance(item, EnvFromSecret) and item.is_text
    )
    prepared = await operator.storage.prepare(resource, generated.storage_secret)
    resolution = await operator.secrets.resolve(
        "team-a", secret_refs(spec_of(spec.sections)), converted=converted
    )
    resolution = with_storage(resolution, prepared)
    outputs += [repr(resolution), repr(vars(operator.secrets)), repr(vars(operator.storage))]
    if prepared.content is not None:
        inputs = Inputs(resource, spec_of(spec.sections), generated, storage_state=prepared.state)
        outputs.append(await _said_when_refused(operator.storage, inputs, prepared.content))
    facts = Facts(
        cr=resource,
        now="2026-01-01T00:00:00Z",
        generated=generated,
        config_problem=plan.problem,
        resolution=resolution,
    )
    status = compute(facts)
    told = [event.note for event in events.between({}, status, deployment_changed=True)]
    return [*outputs, json.dumps(status, ensure_ascii=False), repr(facts), *told]


@pytest.mark.parametrize("era", ERAS)
def test_values_of_secrets_are_in_no_output_of_a_reconcile(era: str) -> None:
    seen = 0

    @settings(max_examples=25)
    @given(spec=any_valid_spec(era), value=connections(_FOREIGN))
    def check(spec: AnySpec, value: str) -> None:
        nonlocal seen
        keys = {reference.key for reference in secret_refs(spec_of(spec.sections))}
        with structlog.testing.capture_logs() as logs:
            for text in [*asyncio.run(_outputs(spec, dict.fromkeys(keys, value))), repr(logs)]:
                seen += 1
                assert leaks(value, text, _FOREIGN) == []
                encoded = base64.b64encode(value.encode()).decode().rstrip("=")
                assert len(encoded) <= LONGEST or encoded not in text

    check()
    assert seen


_WHOLE = st.text(_FOREIGN, min_size=4, max_size=9)


@settings(max_examples=40)
@given(
    url=st.builds("postgresql://{}:{}@{}/{}".format, _WHOLE, _WHOLE, _WHOLE, _WHOLE),
    kv=st.sampled_from(["postgres", "redis"]),
)
def test_values_that_are_used_are_in_no_output_either(url: str, kv: str) -> None:
    source = {"secretKeyRef": {"name": "db", "key": "url"}}
    stores = {
        "postgres": {"type": "postgres", "connectionString": source},
        "redis": {"type": "redis", "endpoint": "redis://r:6379", "password": source},
    }
    storage = {"kv": stores[kv], "sql": stores["postgres"]}
    spec = AnySpec("0.7", {"distribution": {"name": "starter"}, "storage": storage})

    with structlog.testing.capture_logs() as logs:
        texts = [*asyncio.run(_outputs(spec, {"url": url})), repr(logs)]

    assert any("was refused" in text for text in texts), "the values did not get as far as a write"
    assert [leak for text in texts for leak in leaks(url, text, _FOREIGN)] == []


def test_a_leak_would_be_found() -> None:
    assert leaks("postgresql://QXZJ:KVWQ@h", "it is qxzj") == ["qxzj"]
    assert leaks("QXZJKVWQ", "never QXZ or KVW") == []
    assert leaks("user=ЖФЮЯ", "ЖФЮЯ", _FOREIGN) == ["жфюя"]
