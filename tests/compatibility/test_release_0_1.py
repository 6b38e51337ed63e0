"""What release 0.1 has left on disk is read; its protocol, version 1, is refused in one line."""

import io
import re
import shutil
import tomllib
from pathlib import Path
from random import Random

import numpy as np
import pytest

from p2pnet.agent.assembly import prepare
from p2pnet.agent.names import PeerNames
from p2pnet.agent.notice_text import text_of
from p2pnet.agent.state_directory import StateDirectory
from p2pnet.agent.transport.keys import load_keys
from p2pnet.config import read_settings
from p2pnet.protocol.core.codec import ForeignVersionError
from p2pnet.protocol.core.effects import HangUp, Notify
from p2pnet.protocol.core.events import ForeignVersionReceived, PeerConnected
from p2pnet.protocol.messages.wire import decode
from p2pnet.protocol.node import Node
from p2pnet.protocol.peering.static_peering import StaticPeering
from p2pnet.protocol.rounds.neighbor import Identity
from p2pnet.protocol.rounds.options import RoundOptions
from p2pnet.protocol.rounds.session import Session
from p2pnet.training.model_file import ModelFile

FILES = Path(__file__).parent / "release_0_1"
HELLO_OF_VERSION_1 = (
    "99010192ce6553f10001c085a56d6f64656cae6d6c7020342d382d332074616e68a473656564a130a46c6f7373b5736f66746d61782d63726f73"
    "732d656e74726f7079a770656e616c7479a96c3220302e30303031a464617461aa34206665617475726573a76167656e742d31b47463703a2f2f"
    "3139322e302e322e373a37303730ffc2"
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An agent of release 0.1, as it lies on its machine."""
    copy = shutil.copytree(FILES, tmp_path / "agent")
    (copy / "agent.key").chmod(0o600)
    return copy


def test_its_settings_key_and_samples_make_an_agent(directory: Path) -> None:
    preparation = prepare(read_settings(directory / "agent.toml"))
    assert preparation.keys == load_keys(directory / "agent.key")
    assert len(preparation.network.neighbors) == 2
    assert preparation.parts.train.n_samples == 40


def test_its_model_is_that_of_the_network_that_would_be_trained_today(directory: Path) -> None:
    params = StateDirectory(directory).load_params()
    training = prepare(read_settings(directory / "agent.toml")).training(None)
    assert params.shape == training.params.shape
    assert not np.array_equal(params, training.params)
    with np.load(directory / "model.npz", allow_pickle=False) as model:
        today = np.load(io.BytesIO(ModelFile(params=params, description=training.description).to_bytes()))
        assert model.files == today.files[: len(model.files)]
        assert str(model["model"]) == training.description.network.text


def test_each_setting_of_its_example_is_known(directory: Path) -> None:
    text = (directory / "agent.toml.example").read_text(encoding="utf-8")
    every = re.sub(r"^#((?:\w+ = |    \{|\]).*)$", r"\1", text, flags=re.MULTILINE)
    assert sum(len(section) for section in tomllib.loads(every).values()) > 50
    path = directory / "every.toml"
    path.write_text(every.replace('discovery = "none"', 'discovery = "mdns"'), encoding="utf-8")
    assert read_settings(path).algorithm.curvature_samples == 2000


def test_its_hello_is_refused_in_one_line() -> None:
    with pytest.raises(ForeignVersionError) as refused:
        decode([bytes.fromhex(HELLO_OF_VERSION_1)])
    session = Session(Identity("me", "me", 2, {}), RoundOptions(10), None)
    node = Node(session, StaticPeering({"old": "tcp://192.0.2.7:7070"}, 8), Random(0))  # noqa: S311
    node.start(0.0)
    node.handle(PeerConnected("old"), 0.0)
    effects = node.handle(ForeignVersionReceived("old", refused.value.version), 1.0)
    (text,) = [text_of(effect.notice, PeerNames({})) for effect in effects if isinstance(effect, Notify)]
    assert text == (
        "old speaks another protocol version: theirs is 1, ours is 2; install the same p2pnet on both, or the release "
        "before"
    )
    assert HangUp("old") in effects
