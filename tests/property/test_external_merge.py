# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""External providers against simple models: configurations, versions, files, texts of strangers."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.external_apis import API_OF_SECTION
from configs import references, scalars, yaml_reader
from configs.external import distributions, failures, merge, metadata, selection
from configs.external.distributions import Distribution, Staged, StagedFile
from configs.external.entries import Entry, InputError, read
from configs.external.failures import Provider, ProviderError, ProviderFailure
from configs.external.merge import ExternalProvider
from configs.external.metadata import Metadata
from configs.external.packages import plan
from configs.external.selection import Clash, Option, options_of, select
from tests.support.config_specs import JSON

# --- configurations -------------------------------------------------------------------------------

_IDS = ("ollama", "vllm", "tgi", "my-pg")
_SECTIONS = st.sampled_from(["inference", "safety", "vectorIo", "datasetIo"])
_APIS = tuple(API_OF_SECTION.values())


@st.composite
def externals(draw: st.DrawFn) -> list[ExternalProvider]:
    ids = draw(st.lists(st.sampled_from(_IDS), unique=True))
    found = []
    for provider_id in ids:
        section = draw(_SECTIONS)
        api = API_OF_SECTION[section]  # type: ignore[index]
        config = draw(st.none() | st.dictionaries(st.text(max_size=3), JSON, max_size=2))
        entry = Entry(Provider(provider_id, "image", "container"), api, section, 0, config)
        described = Metadata("n", "1", "v", "m", f"remote::{provider_id}", api, "w", (), ())
        found.append(ExternalProvider(entry, described))
    return found


_BASE_ENTRY = st.fixed_dictionaries(
    {
        "provider_id": st.sampled_from(
            [*_IDS, *(f"${{env.X:+{each}}}" for each in _IDS), "${env.A:=vllm}", "other"]
        ),
        "provider_type": st.sampled_from(["remote::a", "inline::b"]),
    },
    optional={"config": st.dictionaries(st.text(max_size=3), JSON, max_size=2)},
)
_BASE = st.fixed_dictionaries(
    {},
    optional={
        "version": st.sampled_from([2, "2"]),
        "apis": st.none() | st.lists(st.sampled_from(_APIS), unique=True, max_size=4),
        "providers": st.none()
        | st.dictionaries(
            st.sampled_from(_APIS), st.none() | st.lists(_BASE_ENTRY | JSON, max_size=4), max_size=4
        ),
        "registered_resources": JSON,
        "unknown": JSON,
    },
)
_SOURCES = st.sampled_from(["generated", "config-map"])


@given(base=st.none() | _BASE, providers=externals(), source=_SOURCES)
@settings(max_examples=300, deadline=None)
def test_externals_follow_what_is_left_of_the_base_and_nothing_else_changes(
    base: dict[str, Any] | None, providers: list[ExternalProvider], source: Any
) -> None:
    before = copy.deepcopy(base)

    found = merge.merge(base, providers, source)

    assert base == before
    start: dict[str, Any] = {"version": 2, "providers": {}} if base is None else base
    given_providers = start.get("providers") or {}
    overridden = 0
    for api in given_providers.keys() | {each.entry.api for each in providers}:
        ours = [each for each in providers if each.entry.api == api]
        if not ours:
            assert found.config["providers"][api] == given_providers[api]
            continue
        ids = {each.provider_id for each in ours}
        kept = [
            entry
            for entry in given_providers.get(api) or []
            if not (
                isinstance(entry, dict)
                and isinstance(entry.get("provider_id"), str)
                and references.nominal(entry["provider_id"]) in ids
            )
        ]
        overridden += len(given_providers.get(api) or []) - len(kept)
        assert found.config["providers"][api] == [*kept, *(each.data() for each in ours)]
    others = {"providers", "apis"}
    assert {k: v for k, v in found.config.items() if k not in others} == {
        k: v for k, v in start.items() if k not in others
    }
    added = dict.fromkeys(each.entry.api for each in providers)
    assert list(found.config["providers"]) == list({**given_providers, **added})
    assert list(found.config) == list({**start, "providers": ...})
    told = [text for text in found.warnings if "neither in apis" not in text]
    assert len(told) == overridden
    apis = start.get("apis")
    if apis:
        assert found.config["apis"] == [*apis, *(api for api in added if api not in apis)]
    else:
        assert found.config.get("apis", ...) == start.get("apis", ...)


@given(base=st.none() | _BASE, providers=externals())
@settings(max_examples=100, deadline=None)
def test_same_input_is_the_same_bytes_and_is_read_back_the_same(
    base: dict[str, Any] | None, providers: list[ExternalProvider]
) -> None:
    first, second = (merge.merge(copy.deepcopy(base), list(providers)) for _ in range(2))
    text = yaml_reader.dump(first.config, sort_keys=False)

    assert yaml_reader.dump(second.config, sort_keys=False) == text
    assert (first.warnings, first.notes) == (second.warnings, second.notes)
    assert yaml_reader.load(text, resolve=scalars.resolve_as_server) == first.config
    extra = merge.extra_providers(providers)
    assert yaml_reader.dump(extra, sort_keys=False) == yaml_reader.dump(
        merge.extra_providers(providers), sort_keys=False
    )
    assert extra["providers"] == {
        api: [each.data() for each in providers if each.entry.api == api]
        for api in dict.fromkeys(each.entry.api for each in providers)
    }


# --- versions -------------------------------------------------------------------------------------

_NAMES = ("a", "b", "c", "d")
_RANGES = st.sampled_from(["", ">=1", ">=2", "<2", "<3", "==1", "==2", "==3", "!=2", ">=1,<3"])
_REQUIREMENT = st.tuples(st.sampled_from(_NAMES), _RANGES).map("".join)
_UNIT = st.tuples(st.sampled_from("123"), st.lists(_REQUIREMENT, max_size=3))
_BROUGHT = st.lists(st.dictionaries(st.sampled_from(_NAMES), _UNIT), min_size=1, max_size=4)
_ENVIRONMENT = selection.environment_of("3.12", "x86_64")


def staged(brought: Sequence[Mapping[str, tuple[str, list[str]]]]) -> list[Staged]:
    """Providers that bring distributions without a file. One version has the same requirements."""
    known: dict[tuple[str, str], tuple[str, ...]] = {}
    found = []
    for number, units in enumerate(brought):
        own = tuple(
            Distribution(
                name, version, known.setdefault((name, version), tuple(requires)), frozenset()
            )
            for name, (version, requires) in units.items()
        )
        provider = Provider(f"p{number}", f"image-{number}", f"install-{number}")
        found.append(Staged(provider, {}, own))
    return found


def fits(combination: Mapping[str, Option], contested: set[str]) -> bool:
    """Whether everything chosen has what it requires of what there are several of."""
    for option in combination.values():
        for text in option.distribution.requires:
            name, required = text[0], text[1:]
            if name not in contested:
                continue
            version = int(combination[name].version)
            for part in filter(None, required.split(",")):
                if not eval(f"{version}{part}", {}):  # noqa: S307 -- of the strategy above
                    return False
    return True


@given(brought=_BROUGHT)
@example(brought=[{"a": ("1", ["b==2"]), "b": ("1", [])}, {"a": ("2", []), "b": ("2", ["a==2"])}])
@settings(max_examples=500, deadline=None)
def test_versions_clash_only_if_no_combination_fits_and_else_the_first_one_is_taken(
    brought: list[dict[str, tuple[str, list[str]]]],
) -> None:
    options = options_of(staged(brought))
    contested = {name for name, versions in options.items() if len(versions) > 1}
    combinations = (
        dict(zip(options, each, strict=True)) for each in itertools.product(*options.values())
    )
    expected = next((each for each in combinations if fits(each, contested)), None)

    found = selected(options)

    if isinstance(found, dict):
        assert found == expected
        return
    assert expected is None
    assert len(found.providers) > 1
    assert any(not demand.takes(option) for demand in found.demands for option in found.options)


def selected(options: selection.Options) -> dict[str, Option] | Clash:
    try:
        return select(options, _ENVIRONMENT)
    except Clash as clash:
        return clash


# --- files ----------------------------------------------------------------------------------------

_PATHS = st.sampled_from(["x.py", "org/__init__.py", "org/x.py", "org", "bin/run", "deep/er/x.py"])
_CONTENTS = st.sampled_from(["", "1", "2", "longer"])
_FILES = st.dictionaries(_PATHS, _CONTENTS, max_size=5)
_CLAIMS = st.dictionaries(st.sampled_from(_NAMES), st.tuples(_UNIT, st.sets(_PATHS)), max_size=3)


@given(brought=st.lists(st.tuples(_FILES, _CLAIMS), min_size=1, max_size=3))
@example(
    brought=[({}, {"a": (("1", []), set())}), ({"bin/run": ""}, {"a": (("1", []), {"bin/run"})})]
)
@settings(max_examples=500, deadline=None)
def test_file_is_missing_only_if_all_who_claim_it_are(
    brought: list[tuple[dict[str, str], dict[str, tuple[tuple[str, list[str]], set[str]]]]],
) -> None:
    plain = staged([{name: unit for name, (unit, _) in claims.items()} for _, claims in brought])
    world = [
        Staged(
            one.provider,
            {path: StagedFile(len(text), 0o644) for path, text in files.items()},
            tuple(
                Distribution(
                    each.name, each.version, each.requires,
                    frozenset(claims[each.name][1] & files.keys()),
                )
                for each in one.distributions
            ),
        )
        for one, (files, claims) in zip(plain, brought, strict=True)
    ]  # fmt: skip

    try:
        found = plan(world, lambda number, path: brought[number][0][path].encode())
    except ProviderError:
        return
    tree = {link.path: brought[link.provider][0][link.path] for link in found.links}
    assert len(tree) == len(found.links)
    assert not any(other.startswith(f"{path}/") for path in tree for other in tree)
    left_out = {(each.provider, each.distribution.name) for each in found.left_out}
    for number, one in enumerate(world):
        for path, text in brought[number][0].items():
            claimed = [each.name for each in one.distributions if path in each.files]
            if not claimed or any((number, name) not in left_out for name in claimed):
                # A script of the same version may begin with another Python.
                assert tree[path] == text or path == "bin/run"


# --- texts of strangers ---------------------------------------------------------------------------

_TEXTS = st.text(alphabet="ab:-[]{}&*!\"'\n #,1.", max_size=40).map(str.encode)
_NEAR = st.sampled_from(
    [
        b"Name: a\nVersion: 1\nRequires-Dist: ",
        b"apiVersion: llamastack.io/v1alpha1\nspec: ",
        b'{"files": [], "python": "3.12", "platform": ',
        b'{"providerId": "p", "section": ',
    ]
)


@given(raw=st.binary(max_size=60) | _TEXTS | st.tuples(_NEAR, _TEXTS).map(b"".join))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_read_or_refused_in_one_line(raw: bytes) -> None:
    attempts: tuple[Callable[[], object], ...] = (
        lambda: metadata.parse(raw, files=()),
        lambda: distributions.read("a-1.dist-info", raw, raw, {}),
        lambda: distributions.read("a-1.dist-info", b"Name: a\nVersion: 1\n", raw, {}),
        lambda: distributions.read_wheels(raw),
        lambda: read({"00-p.json": raw}),
    )

    lines = [line for attempt in attempts for line in problems(attempt)]

    assert all(line.isprintable() for line in lines)


def problems(attempt: Callable[[], object]) -> tuple[str, ...]:
    try:
        attempt()
    except metadata.MetadataError as error:
        return error.problems
    except (distributions.DistributionError, InputError) as error:
        return (str(error),)
    return ()


@given(
    details=st.lists(st.text(max_size=300).map(failures.one_line), max_size=60),
    headline=st.text(max_size=200).map(failures.one_line),
    most=st.integers(2000, 4096),
)
def test_message_of_any_details_fits_and_keeps_head_and_resolution(
    details: list[str], headline: str, most: int
) -> None:
    provider = Provider("p", "image", "install-p")
    failure = ProviderFailure(headline, provider, "Do this.", details=tuple(details))

    text = failure.text(most)

    assert len(text.encode()) <= most
    assert text.startswith(f"ERROR: {headline}\n\nProvider: p\nImage: image\n")
    assert text.endswith("\n\nResolution: Do this.\n")
    assert text == failure.text(10**6) or "[...]\n" in text
