# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Which version runs where providers bring several."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping

import pytest

from configs.external import selection
from configs.external.distributions import Distribution, Staged
from configs.external.failures import Provider
from configs.external.selection import Clash, environment_of, options_of, select

ENVIRONMENT = environment_of("3.12", "x86_64")


def staged(*providers: Mapping[str, tuple[str, ...]]) -> list[Staged]:
    """Providers, each by what it brings: ``{"name version": requirements}``."""
    return [
        Staged(
            Provider(f"p{number}", f"image-{number}", f"install-{number}"),
            {},
            tuple(
                Distribution(unit.split()[0], unit.split()[1], requires, frozenset())
                for unit, requires in one.items()
            ),
        )
        for number, one in enumerate(providers)
    ]


def chosen(*providers: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    found = select(options_of(staged(*providers)), ENVIRONMENT)
    return {name: option.version for name, option in found.items()}


def clash(*providers: Mapping[str, tuple[str, ...]]) -> Clash:
    with pytest.raises(Clash) as raised:
        chosen(*providers)
    return raised.value


def test_first_version_is_taken_if_everybody_can_live_with_it() -> None:
    found = chosen(
        {"a 1": ("dep>=1",), "dep 1.5": ()},
        {"b 1": ("dep>=1,<3",), "dep 2.0": ()},
    )

    assert found == {"a": "1", "b": "1", "dep": "1.5"}


@pytest.mark.parametrize("requirement", ["dep>=2", "Dep >=2", "d_e_p>=2 ", "dep[x]>=2"])
def test_later_version_is_taken_if_somebody_needs_it(requirement: str) -> None:
    name = "d-e-p" if "_" in requirement else "dep"

    found = chosen(
        {"a 1": (f"{name}>=1",), f"{name} 1.5": ()}, {"b 1": (requirement,), f"{name} 2": ()}
    )

    assert found[name] == "2"


def test_clash_names_versions_requirements_and_the_later_provider() -> None:
    found = clash(
        {"a 1": ("dep<2",), "dep 1": ()},
        {"b 1": ("dep>=2",), "dep 2": ()},
        {"c 1": ("dep",), "dep 1": ()},
    )

    assert found.providers == [0, 1]
    assert [str(demand) for demand in found.demands] == [
        "a 1 depends on dep<2",
        "b 1 depends on dep>=2",
    ]
    assert [str(option.distribution) for option in found.options] == ["dep 1", "dep 2"]


def test_clash_of_two_requirements_is_not_with_those_who_bring_the_versions() -> None:
    found = clash({"a 1": ("dep<2",)}, {"b 1": ("dep>=2",)}, {"dep 1": ()}, {"dep 2": ()})

    assert found.providers == [0, 1]


def test_clash_of_one_requirement_is_with_those_who_bring_the_versions() -> None:
    found = clash({"a 1": ("dep==3",), "dep 1": ()}, {"dep 2": ()})

    assert found.providers == [0, 1]


def test_requirement_on_what_nobody_brings_twice_is_left_to_the_preflight() -> None:
    assert chosen({"a 1": ("dep>=9", "missing"), "dep 1": ()}, {"dep 1": ()})["dep"] == "1"


def test_requirements_of_a_version_that_is_not_taken_do_not_count() -> None:
    found = chosen(
        {"a 1": ("lib>=2", "dep"), "lib 1": ("dep<2",), "dep 2": ()},
        {"lib 2": (), "dep 1": ()},
    )

    assert (found["lib"], found["dep"]) == ("2", "2")


def test_versions_that_need_each_other_are_taken_together() -> None:
    """A choice of one after the other ends with low 1 for shared 1, which b does not take."""
    found = chosen(
        {"a 1": ("shared>=1",), "shared 1": ("low<2",), "low 1": ()},
        {"b 1": ("shared>=1", "low>=2"), "shared 2": ("low>=2",), "low 2": ()},
    )

    assert (found["shared"], found["low"]) == ("2", "2")


def test_versions_of_which_no_combination_fits_clash() -> None:
    """Whatever is chosen for x, y wants the other; the first name that is wrong is told of."""
    found = clash(
        {"w 1": ("x",), "x 1": ("y==2",), "y 1": ("x==1",)},
        {"w 1": ("x",), "x 2": ("y==1",), "y 2": ("x==2",)},
    )

    assert found.providers == [0, 1]
    assert [str(demand) for demand in found.demands] == [
        "x 1 depends on y==2",
        "x 2 depends on y==1",
    ]
    assert [str(option.distribution) for option in found.options] == ["y 1", "y 2"]


def test_markers_are_asked_of_the_server_and_extras_are_not_meant() -> None:
    not_meant = (
        "dep>=2; python_version<'3.12'",
        "dep>=2; extra=='fast'",
        "dep>=2; sys_platform=='win32'",
        "dep>=2; platform_machine=='aarch64'",
    )

    assert chosen({"dep 1": ()}, {"b 1": not_meant, "dep 2": ()})["dep"] == "1"
    for meant in (
        "dep>=2; python_full_version=='3.12.0'",
        "dep>=2; implementation_name=='cpython'",
    ):
        assert chosen({"dep 1": ()}, {"b 1": (meant,), "dep 2": ()})["dep"] == "2"


@pytest.mark.parametrize(
    "requirement",
    [
        *("dep >= banana", "dep; unknown_name=='x'", "", "=", "-dep", "dep; os_name ~= '1'"),
        f"dep; python_version > '{'9' * 5000}'",
    ],
)
def test_requirement_that_nobody_can_read_does_not_count(requirement: str) -> None:
    assert chosen({"dep 1": ()}, {"b 1": (requirement,), "dep 2": ()})["dep"] == "1"


def test_prerelease_that_a_provider_brings_counts_as_a_version() -> None:
    assert chosen({"a 1": ("dep>=1",), "dep 2rc1": ()}, {"dep 2": ()})["dep"] == "2rc1"


def test_version_that_is_none_does_only_where_any_does() -> None:
    assert chosen({"dep banana": ()}, {"b 1": ("dep",), "dep 2": ()})["dep"] == "banana"
    assert chosen({"dep banana": ()}, {"b 1": ("dep>=1",), "dep 2": ()})["dep"] == "2"


def test_number_that_python_does_not_read_for_its_length() -> None:
    """It is no crash of the merge, which nobody could attribute to a provider."""
    long = "9" * 5000

    assert clash({"a 1": (f"dep>{long}",), "dep 1": ()}, {"dep 2": ()}).providers == [0, 1]
    assert chosen({f"dep {long}": ()}, {"b 1": ("dep>=1",), "dep 2": ()})["dep"] == "2"


def test_dead_end_at_the_last_of_many_names_shows_at_once() -> None:
    """Without looking ahead this would be two to the power of forty combinations."""
    names = [f"m{number:02}" for number in range(40)]
    first = {f"{name} 1": () for name in names} | {"a 1": ("z==1",), "z 1": ("q<2",)}
    second = {f"{name} 2": () for name in names} | {"a 2": (), "z 2": (), "q 2": ()}

    found = chosen(first, {**second, "q 1": ()} | {"b 1": ("z>=2",)})

    assert (found["a"], found["z"]) == ("2", "2")
    assert {found[name] for name in names} == {"1"}


def test_more_names_than_python_has_levels_are_no_problem() -> None:
    names = [f"n{number}" for number in range(1500)]

    found = chosen({f"{name} 1": () for name in names}, {f"{name} 2": () for name in names})

    assert set(found.values()) == {"1"}


def test_memory_grows_with_the_names_and_not_with_their_square() -> None:
    names = [f"n{number}" for number in range(1500)]
    options = options_of(staged(*({f"{name} {v}": () for name in names} for v in "12")))

    tracemalloc.start()
    try:
        select(options, ENVIRONMENT)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 10 * 1024**2


def test_version_that_excludes_itself_is_not_taken() -> None:
    assert chosen({"dep 1": ("dep>1",)}, {"dep 2": ()})["dep"] == "2"


def test_search_that_takes_too_long_is_a_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "_STEPS", 1)

    found = clash({"a 1": (), "b 1": ()}, {"a 2": (), "b 2": ()})

    assert (found.providers, found.demands) == ([0, 1], ())
