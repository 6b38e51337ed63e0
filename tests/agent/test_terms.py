"""What a machine that joins takes over of the settings: what all must have alike; no paths, data, or code unasked."""

import json
from pathlib import Path

import pytest

from p2pnet.agent.terms import is_term, read_terms, terms_of
from p2pnet.config import Settings, settings_of
from p2pnet.errors import SecurityError

SET = {
    "data.source": "samples.csv",
    "agent.name": "ann",
    "model.hidden": [8],
    "objective.penalty": "l1:0.1",
    "algorithm.tolerance": 1e-3,
    "algorithm.workers": 2,
    "model.device": "cuda",
    "network.preset": "wan",
    "network.bind": "tcp://0.0.0.0:7071",
    "service.keep_running": True,
    "log.file": "agent.log",
}


def settings(**changes: object) -> Settings:
    return settings_of({**SET, **{key.replace("__", "."): value for key, value in changes.items()}}, "test")


def test_what_all_must_have_alike_is_told_and_nothing_of_this_machine() -> None:
    assert json.loads(terms_of(settings()).settings) == {
        "algorithm.tolerance": 0.001,
        "model.hidden": [8],
        "network.preset": "wan",
        "objective.penalty": "l1:0.1",
        "service.keep_running": True,
    }


def test_what_is_told_can_be_set() -> None:
    told = read_terms(terms_of(settings()).settings, ())
    assert settings_of({"data.source": "other.csv", **told}, "test").model.hidden == (8,)


@pytest.mark.parametrize(
    "key", ["data.source", "agent.state_dir", "security.secret_key", "log.file", "network.bind", "model.device", "x"]
)
def test_what_is_this_machines_own_is_never_taken_over(key: str) -> None:
    with pytest.raises(SecurityError, match="this machine's own to set; nothing is taken over"):
        read_terms(json.dumps({key: "/etc/passwd"}), ())


def test_no_setting_that_is_told_is_a_path() -> None:
    for section, field in Settings.model_fields.items():
        fields = field.annotation.model_fields  # type: ignore[union-attr]
        for name, value in fields.items():
            if is_term(f"{section}.{name}"):
                assert Path not in (value.annotation, *getattr(value.annotation, "__args__", ())), name


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"model.factory": "mymodels:Net"}, "mymodels:Net"),
        ({"objective.penalty": "anchor:0.1:1"}, "anchor"),
        ({"objective.loss": "expectile"}, "expectile"),
    ],
)
def test_code_of_ones_own_runs_only_if_it_is_allowed_by_name(values: dict[str, str], code: str) -> None:
    with pytest.raises(SecurityError, match=f"--allow-code {code}"):
        read_terms(json.dumps(values), ("other:Net",))
    assert read_terms(json.dumps(values), (code,)) == values


def test_names_of_p2pnets_own_need_no_leave() -> None:
    own = {
        "objective.penalty": "l1:0.1",
        "objective.loss": "auto",
        "algorithm.solver": "auto",
        "model.activation": "relu",
    }
    assert read_terms(json.dumps(own), ()) == own


@pytest.mark.parametrize("text", ["", "[]", "{", "1"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SecurityError, match="cannot be read"):
        read_terms(text, ())
