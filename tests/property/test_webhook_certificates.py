# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Whatever is deleted and broken, whatever the clock does, whoever comes and goes: in the end all
replicas serve one valid pair that everybody trusts (H4).

The real keepers, with an API server in memory; Hypothesis says what happens and when.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import timedelta

import looptime
from hypothesis import given, settings
from hypothesis import strategies as st

from llamastack_operator.webhooks.certificates.pair import is_valid_at, leaf_of
from llamastack_operator.webhooks.certificates.state import KEYS, OVERLAP, Need, assess
from tests.support.webhook_replicas import HOSTS, World

Happening = Callable[[World], object]


def breaks(key: str, value: bytes | None) -> Happening:
    return lambda world: world.damage(**{key.replace(".", "_"): value})


def jumps(days: float) -> Happening:
    def jump(world: World) -> None:
        world.offset += timedelta(days=days)

    return jump


def mixes(world: World) -> None:
    """Somebody restores half of an old backup."""
    stored = world.stored()
    if stored:
        world.damage(tls_crt=stored.get("ca.crt"), ca_key=stored.get("tls.key"))


def comes(world: World) -> None:
    if len(world.replicas) < 4:
        world.add()


HAPPENINGS = st.one_of(
    st.builds(breaks, st.sampled_from(KEYS), st.sampled_from([None, b"", b"junk"])),
    st.builds(jumps, st.sampled_from([-4000, -70, -0.05, 0.01, 61, 91, 2500, 4000])),
    st.sampled_from([World.delete_secret, mixes, comes]),
    st.builds(
        lambda bundle: lambda world: world.set_bundle(bundle),
        st.sampled_from([None, "", base64.b64encode(b"junk").decode()]),
    ),
)
PAUSES = st.sampled_from([0.0, 0.001, 0.004, 0.1, 3.0, 90.0, 700.0])


@given(
    replicas=st.integers(1, 3),
    story=st.lists(st.tuples(HAPPENINGS, PAUSES), min_size=1, max_size=6),
    killed=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_all_agree_in_the_end(
    replicas: int, story: list[tuple[Happening, float]], killed: bool
) -> None:
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(start=0)) as runner:
        runner.run(live(replicas, story, killed))


async def live(replicas: int, story: list[tuple[Happening, float]], killed: bool) -> None:
    world = World()
    for _ in range(replicas):
        world.add()
    for happens, pause_s in story:
        happens(world)
        await asyncio.sleep(pause_s)
    if killed and len(world.replicas) > 1:
        await world.remove(0)
    # Somebody looks at the clock within an hour, and old authorities go after the overlap.
    await asyncio.sleep(3700.0 + OVERLAP.total_seconds())
    await world.until(world.is_right, 3700.0, every_s=1.0)
    await asyncio.sleep(OVERLAP.total_seconds() + 3.0)

    now = world.utc()
    assert world.is_right()
    assert assess(world.stored(), HOSTS, now).need is Need.NOTHING
    pairs = {replica.serving.pair for replica in world.replicas}
    assert len(pairs) == 1
    (pair,) = pairs
    leaf = leaf_of(pair) if pair else None
    assert leaf is not None
    assert is_valid_at(leaf, now)
    await world.end()
