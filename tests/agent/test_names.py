"""What a peer is called in the log."""

from pathlib import Path

from p2pnet.agent.names import PeerNames
from p2pnet.agent.transport.keys import load_keys
from p2pnet.agent.trust.founding import found
from p2pnet.agent.trust.network_files import NetworkFiles


def test_a_peer_is_called_as_the_settings_call_it_else_as_the_records_do(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("x,y\n1,2\n")
    found("ward", tmp_path / "agent.toml", {"agent.name": "ann", "data.source": "samples.csv"})
    ann = load_keys(tmp_path / "agent.key").public
    roster = NetworkFiles(tmp_path / "network").roster()
    assert PeerNames({ann: "the first"}, roster).call(ann) == f"the first ({ann})"
    assert PeerNames({}, roster).call(ann) == f"ann ({ann})"
    assert PeerNames({}, roster).call("some key") == "some key"
    assert PeerNames({}).call(ann) == ann
