# Copyright The llamastack-operator Authors.
# SPDX-License-Identifier: Apache-2.0

"""Random edits of a resource, against a model of the server's registries.

The model is the server's own rule: a registry keeps the fields of everything that was ever
registered in it, and everything that an inference provider may have listed, and a server whose
config disagrees does not start.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from configs import engine, registry_key, yaml_reader
from configs.engine import Generated
from configs.registry_key import Registration, RegistryState, next_state
from tests.support.config_specs import DISTRIBUTIONS, NAME, NAMESPACE, spec_of

NAMES = st.sampled_from(["model p/a", "model p/b", "model q/a", "shield s"])
CONFIGS = st.dictionaries(NAMES, st.sampled_from("xyz"), max_size=4)


def registrations(config: dict[str, str]) -> list[Registration]:
    """A config's resources, with the providers that its models need."""
    found = [
        Registration(name, fields, listed_by=f"provider {name[6]}" if "/" in name else "")
        for name, fields in config.items()
    ]
    providers = {item.listed_by for item in found if item.listed_by}
    return [*(Registration(name, "") for name in providers), *found]


def starts(registry: dict[str, str], config: dict[str, str]) -> bool:
    """Whether a server with a config is sure to start on a registry; it writes then."""
    items = registrations(config)
    for item in items:
        if item.identifier in registry:
            if registry[item.identifier] != item.digest:
                return False
        elif item.listed_by in registry:
            return False
    registry.update({item.identifier: item.digest for item in items})
    return True


@given(walk=st.lists(CONFIGS, max_size=25))
@settings(max_examples=200, deadline=None)
def test_no_server_meets_a_registry_that_it_refuses(walk: list[dict[str, str]]) -> None:
    registries: dict[int, dict[str, str]] = {}
    state: RegistryState | None = None
    for config in walk:
        before = state
        state, reset = next_state(before, registrations(config))
        if before is not None:
            needed = not starts(dict(registries[before.key]), config)
            assert state.key == before.key + needed, "a new registry if needed, and only then"
            assert bool(reset) == needed

        assert starts(registries.setdefault(state.key, {}), config)
        assert next_state(state, registrations(config)) == (state, ())
        assert registry_key.load(state.dump()) == state


MODELS = st.lists(
    st.builds(
        lambda name, provider, length: {
            "name": name,
            "provider": provider,
            **({"contextLength": length} if length else {}),
        },
        st.sampled_from(["a", "b"]),
        st.sampled_from(["p", "q"]),
        st.sampled_from([0, 1, 2]),
    ),
    max_size=3,
    unique_by=lambda model: (model["name"], model["provider"]),
)


@given(walk=st.lists(MODELS, min_size=1, max_size=6), order=st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_same_spec_and_state_give_the_same_bytes(walk: list[list[Any]], order: Any) -> None:
    state: RegistryState | None = None
    files: dict[str, dict[str, Any]] = {}
    for models in walk:
        found = generate(models, state)
        shuffled = list(models)
        order.shuffle(shuffled)

        assert generate(models, state) == found
        again = generate(models, found.registry)
        assert (again.config_yaml, again.registry) == (found.config_yaml, found.registry)
        assert again.registry_reset == ()
        assert generate(shuffled, state).registry == found.registry
        config = yaml_reader.load(str(found.config_yaml))
        known = files.setdefault(config["storage"]["backends"]["kv_registry"]["db_path"], {})
        for model in config["registered_resources"]["models"]:
            name = f"{model['provider_id']}/{model['model_id']}"
            assert known.setdefault(name, model) == model, "this server would not start"
        state = found.registry


def generate(models: list[Any], previous: RegistryState | None) -> Generated:
    providers = [
        {"id": name, "provider": "vllm", "endpoint": f"http://{name}:8000"} for name in "pq"
    ]
    resources = {"models": [*models, {"name": "always", "provider": "p"}]}
    spec = spec_of({"providers": {"inference": providers}, "resources": resources})
    return engine.generate(NAME, NAMESPACE, spec, distributions=DISTRIBUTIONS, previous=previous)
