# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""A bundle is a set: order, duplicates, keys, sources and the text in between do not matter."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.llamastack.references.ca_bundle import Part, join
from controller.llamastack.references.certificates import NotUsable, blocks, decoded
from informers.ports import ObjectKey
from tests.support.authority import Authority

NOW = datetime.now(UTC)
PEMS = [Authority(f"authority {number}").pem for number in range(6)]
PUBLIC = decoded(blocks(PEMS[4] + PEMS[5]))

indices = st.lists(st.integers(0, 5), min_size=1, max_size=12)
between = st.sampled_from(
    ["", "\n", "# a comment\n", "\r\n\r\n", "-----BEGIN X-----\n-----END X-----\n"]
)


@st.composite
def sources(draw: st.DrawFn) -> tuple[frozenset[int], list[Part]]:
    """Certificates by number, and some keys of some ConfigMaps with them."""
    numbers = draw(indices)
    cuts = sorted(draw(st.sets(st.integers(1, len(numbers)), max_size=3)) | {0, len(numbers)})
    parts = []
    for place, (start, stop) in enumerate(itertools.pairwise(cuts)):
        text = "".join(draw(between) + PEMS[n] for n in numbers[start:stop])
        config_map = ObjectKey("n", draw(st.sampled_from(["a", "b"])))
        content = tuple(decoded(blocks(text)))
        parts.append(Part(config_map, str(place), content, draw(st.booleans())))
    return frozenset(numbers), draw(st.permutations(parts))


@settings(max_examples=150)
@given(sources())
def test_same_certificates_make_the_same_bundle(
    drawn: tuple[frozenset[int], list[Part]],
) -> None:
    numbers, parts = drawn
    plain = Part(
        ObjectKey("n", "c"),
        "k",
        tuple(decoded(blocks("".join(PEMS[n] for n in sorted(numbers))))),
        True,
    )

    bundle, expected = join(parts, PUBLIC, now=NOW), join([plain], PUBLIC, now=NOW)

    assert bundle.problems == ()
    assert (bundle.text, bundle.digest) == (expected.text, expected.digest)
    wanted = {PEMS[n] for n in numbers | {4, 5}}
    assert sorted(bundle.text.split("-----BEGIN")[1:]) == sorted(
        p.removeprefix("-----BEGIN") for p in wanted
    )


@settings(max_examples=300)
@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from([*PEMS[0].splitlines(), "-----BEGIN A-----", "\x00", "="])).map(
        "\n".join
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = decoded(blocks(text))
    except NotUsable:
        return
    assert all(certificate.pem in PEMS for certificate in found)
