"""What an agent makes of samples that have changed while it runs."""

import logging
from pathlib import Path

import numpy as np
import pytest

from p2pnet.agent.assembly import Preparation, prepare
from p2pnet.agent.checkpoints import Checkpoints
from p2pnet.agent.resuming import checkpoint_files
from p2pnet.agent.sample_watch import SampleWatch
from p2pnet.agent.service import Service, digest_of
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.keys import generate_keys, write_keys
from p2pnet.config import read_settings
from p2pnet.errors import ConfigError
from p2pnet.training.training import Training, statistics_alone

HEAD = "x,kind\n"
ROWS = "".join(f"{k},{'cat' if k % 2 else 'dog'}\n" for k in range(40))
AGENT_TOML = """
[security]
secret_key = "agent.key"
[network]
bind = "tcp://127.0.0.1:0"
[data]
source = "samples.csv"
[model]
hidden = []
[service]
keep_running = true
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "samples.csv").write_text(HEAD + ROWS, encoding="utf-8")
    (tmp_path / "agent.toml").write_text(AGENT_TOML, encoding="utf-8")
    write_keys(tmp_path / "agent.key", generate_keys())
    return tmp_path


def serving(directory: Path) -> tuple[Service, Training, Preparation]:
    preparation = prepare(read_settings(directory / "agent.toml", []))
    log = logging.getLogger("service")
    files = checkpoint_files(preparation, StateDirectory(directory / "state"))
    checkpoints = Checkpoints(files, 10.0, 0.0, log, lambda: 0.0)
    checkpoints.samples = digest_of(preparation.parts.train)
    training = preparation.training(statistics_alone(preparation.summary, preparation.parts.train))
    watch = SampleWatch([directory / "samples.csv"], 1.0, lambda: 0.0)
    service = Service(preparation, watch, checkpoints, log, is_behind=False)
    service.begin(training)
    return service, training, preparation


def test_more_rows_are_scaled_as_before_and_the_same_rows_are_nothing_new(directory: Path) -> None:
    service, training, preparation = serving(directory)
    assert service.train_anew() is None
    (directory / "samples.csv").write_text(HEAD + ROWS + "1000,cat\n2000,dog\n", encoding="utf-8")
    renewed = service.train_anew()
    assert renewed is not None
    before, after = training.description.scaling, renewed.description.scaling
    np.testing.assert_array_equal(before.feature_mean, after.feature_mean)
    np.testing.assert_array_equal(before.feature_scale, after.feature_scale)
    assert renewed.fingerprint == training.fingerprint
    assert renewed.params.size == training.params.size
    assert preparation.parts.train.n_samples < 40


def test_rows_with_labels_that_the_network_does_not_know_are_held_back_and_named(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service, _, _ = serving(directory)
    (directory / "samples.csv").write_text(
        HEAD + ROWS + "".join(f"{k},newt\n{k},cat\n" for k in range(50, 90)), encoding="utf-8"
    )
    renewed = service.train_anew()
    assert renewed is not None
    assert renewed.description.classes == ("cat", "dog")
    assert "rows are held back: the network does not know their labels: newt" in caplog.text


@pytest.mark.parametrize(
    ("content", "complaint"), [("x,kind\n1,\n", "cannot be used"), ("z,kind\n1,cat\n2,dog\n" * 1, "cannot be used")]
)
def test_samples_that_cannot_be_used_change_nothing_and_are_told(
    directory: Path, caplog: pytest.LogCaptureFixture, content: str, complaint: str
) -> None:
    service, _, _ = serving(directory)
    (directory / "samples.csv").write_text(content, encoding="utf-8")
    assert service.train_anew() is None
    assert complaint in caplog.text


@pytest.mark.parametrize("line", ['[data]\nsource = "samples.csv"\nstandardize = "local"'])
def test_scales_that_would_change_with_the_samples_are_refused(directory: Path, line: str) -> None:
    text = AGENT_TOML.replace('[data]\nsource = "samples.csv"', line)
    (directory / "agent.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="keep_running"):
        prepare(read_settings(directory / "agent.toml", []))
