# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""No credential that a container, or the kubelet, showed is in the status, an Event or the log.

The operator knows no value of a Secret: it reads those of databases and of certificates, and keeps
none of them. So a credential is recognized by where it stands, and these are the places: what a
client, pip, a traceback and the kubelet are known to show. What is planted has letters that no
message of ours has in that order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from api.v1alpha2 import parse
from controller.llamastack.cache.observed import Observed
from controller.llamastack.objects.pods import TROUBLE, keep_trouble
from controller.llamastack.planning.asked_installs import asked_installs
from controller.llamastack.planning.plan import Plan
from controller.llamastack.references.configuration import Configuration
from controller.llamastack.server.status import OperatorFacts
from controller.llamastack.status import events
from controller.llamastack.status.compute import compute
from controller.llamastack.status.facts import facts_of
from controller.llamastack.status.outcome import Outcome
from tests.support.installing import DONE, INPUT, TWO, crash_loop, ended, pod, waiting
from tests.support.rendering import resource

Json = dict[str, Any]

LETTERS: Final = "QXZJKVWqxzjkvw"
_WORDS: Final = st.text(LETTERS, min_size=4, max_size=12)
_MARKS: Final = st.sampled_from(
    [*"!#$%&*+,-./:;<=>?@[]^_`{|}~()", "%40", "${", "}", "://", "'", '"', "\\"]
)
_SECRETS: Final = st.lists(_WORDS | _MARKS, min_size=1, max_size=6).map("".join)

_PLAIN: Final[Mapping[str, str]] = {
    "url": "connecting to postgresql://llama:{}@db:5432/x failed",
    "url-without-a-user": "Error 111 connecting to redis://:{}@redis:6379/0",
    "pip": "Looking in indexes: https://__token__:{}@pypi.example/simple, https://pypi.org/simple",
    "pip-variable": "PIP_INDEX_URL=https://user:{}@pypi.example/simple",
    "dsn": "could not connect to llama:{}@db:5432",
    "bearer": "< Authorization: Bearer {}",
    "basic": "< proxy-authorization: Basic {}",
    "other-scheme": "Authorization: token {}",
    "cookie": "Set-Cookie: session={}; Path=/",
    "variable": "AWS_SECRET_ACCESS_KEY={}",
    "session-token": "aws_session_token = {}",
    "password": "password={} host=db",
    "yaml": "    api_token: {}",
    "header": "X-Api-Key: {}",
    "query": "GET https://llm.example/v1?api_key={}&x=1 failed",
    "argument": "usage: run --api-key {} --port 1",
    "openai": "Incorrect API key provided: {}. You can find your API key at",
}
"""Where a value stands up to the next blank."""

_QUOTED: Final[Mapping[str, str]] = {
    "dict": "config {{'api_key': {}, 'x': 1}}",
    "keyword": "Settings(password={}, host='h')",
    "bytes": "headers [(b'x-api-key', b{}), (b'a', b'b')]",
    "pydantic": "  Input should be valid [type=string_type, input_value={}, input_type=str]",
    "authorization": "headers {{'Authorization': {}}}",
}
"""Where it stands in quotes, as Python and JSON write them, and may have blanks."""

_BARE: Final = st.sampled_from(["sk-", "gsk_", "hf_", "ghp_", "github_pat_", "glpat-", "xoxb-"])
_NOISE: Final = st.sampled_from(
    [
        "",
        "Traceback (most recent call last):",
        '  File "/app/x.py", line 3, in <module>',
        "ValueError: no",
        "ERROR: Could not find a version that satisfies the requirement x",
        "ERROR: Cannot install provider 'one'",
        "Provider: one",
        "Resolution: Check the image.",
        "x" * 700,
        "word " * 200,
    ]
)


@st.composite
def shown_secrets(draw: st.DrawFn) -> tuple[str, str]:
    """A value, and a line that shows it."""
    secret = draw(_SECRETS)
    kind = draw(st.sampled_from(["plain", "quoted", "bare"]))
    if kind == "bare":
        word = draw(st.text(LETTERS, min_size=8, max_size=40))
        return word, f"the key {draw(_BARE)}{word} is invalid"
    if kind == "plain":
        return secret, draw(st.sampled_from(sorted(_PLAIN.values()))).format(secret)
    secret = draw(st.sampled_from(["{}", "a {}", "{} b"])).format(secret)
    quote: Callable[[str], str] = draw(st.sampled_from([repr, json.dumps]))
    return secret, draw(st.sampled_from(sorted(_QUOTED.values()))).format(quote(secret))


def pieces(secret: str) -> list[str]:
    """What of a value would be recognized anywhere."""
    return re.findall(rf"[{LETTERS}]{{4,}}", secret)


def told(obj: Json) -> str:
    """All that somebody may read about a resource with this pod."""
    made = resource(externalProviders=TWO)
    kept = tuple(found for found in [keep_trouble(obj)] if found is not None)
    observed = Observed(
        made, "2026-01-01T00:00:00Z", pods=tuple(p for p in kept if TROUBLE in p), installing=kept
    )
    parsed = parse(made)
    facts = facts_of(
        observed,
        Plan(cr=parsed, installs=asked_installs(made, parsed)),
        None,
        Configuration(),
        Outcome(None, config_map_name=INPUT, installs_name=INPUT),
        operator_facts=OperatorFacts(),
    )
    status = compute(facts)
    notes = [event.note for event in events.between({}, status, deployment_changed=True)]
    return json.dumps([*kept, status, notes], ensure_ascii=False)


def pods(message: str) -> list[Json]:
    """Every place of a pod that a message can be in."""
    server = {"name": "llama-stack", "image": "i"}
    done = {"one": DONE, "two": DONE, "merge-config": DONE, "preflight": DONE}
    too_big = f'Usage of EmptyDir volume "external-providers" exceeds the limit: {message}'
    return [
        pod({"one": ended(1, message)}),
        pod({"one": DONE, "two": crash_loop(2, message)}),
        pod({"one": waiting("CreateContainerError", message)}),
        pod({"one": {"state": {"running": {}}, "lastState": ended(1, message)["state"]}}),
        pod({"one": DONE, "two": DONE, "merge-config": ended(1, message)}),
        pod({**done, "preflight": ended(1, message)}),
        pod(done, containerStatuses=[{**server, **crash_loop(1, message)}]),
        pod(done, containerStatuses=[{**server, **waiting("CreateContainerConfigError", message)}]),
        pod(done, phase="Failed", reason="Evicted", message=too_big),
        pod(done, phase="Failed", reason="NodeLost", message=message),
        pod(
            done,
            conditions=[
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": message,
                }
            ],
        ),
    ]


@given(
    said=shown_secrets(),
    before=st.lists(_NOISE, max_size=4),
    after=st.lists(_NOISE, max_size=3),
)
@example(said=("XQZJ,KVWQ", "password=XQZJ,KVWQ host=db"), before=[], after=[])
@example(said=("XQZJ KVWQ", "{'password': 'XQZJ KVWQ'}"), before=[], after=[])
@example(said=("a XQZJ", "{'api_key': 'a XQZJ'}"), before=[], after=[])
@example(said=("XQZJKVWQ", "Authorization: token XQZJKVWQ"), before=[], after=[])
def test_credential_in_a_message_is_told_nowhere(
    said: tuple[str, str], before: list[str], after: list[str]
) -> None:
    secret, line = said
    message = "\n".join([*before, line, *after])

    with structlog.testing.capture_logs() as logs:
        texts = [*(told(each) for each in pods(message)), repr(logs)]

    assert [piece for piece in pieces(secret) for text in texts if piece in text] == []


@given(said=shown_secrets(), lines=st.lists(_NOISE, min_size=6, max_size=8), at=st.integers(0))
def test_log_that_the_kubelet_cut_in_the_middle_of_a_credential_is_told_without_the_rest(
    said: tuple[str, str], lines: list[str], at: int
) -> None:
    """It keeps the last 2 KiB of a log, wherever in a line they begin."""
    secret, line = said
    rest = "\n".join(["", *lines, "x" * 2048])[: 2048 - len(line)]
    cut = at % (len(line) + 1)
    tail = (line + rest)[cut:]
    message = tail + "x" * (2048 - len(tail))

    texts = [told(each) for each in pods(message)[:2]]

    assert len(message) == 2048
    assert [piece for piece in pieces(secret) for text in texts if piece in text] == []


def test_what_is_not_recognized_would_be_found() -> None:
    (first, *_) = pods("the word is XQZJKVWQ")

    assert pieces("XQZJKVWQ-ab") == ["XQZJKVWQ"]
    assert "XQZJKVWQ" in told(first)
