"""What can be found wrong with an agent before it runs."""

from p2pnet.agent.data import load_data
from p2pnet.agent.security import load_keys
from p2pnet.config import Settings


def check_agent(settings: Settings) -> str:
    """One line on what the agent would train, and as whom; any P2pnetError that running it would begin with."""
    keys = load_keys(settings.security.secret_key)
    train, test = load_data(settings.data)
    loss = settings.objective.loss_for(train.task)
    task = f"classification into {len(train.classes)} classes" if train.classes else "regression"
    n_peers = len(settings.network.neighbors or settings.network.seeds)
    return (
        f"fit to run: agent {settings.agent.name} ({keys.public}), {n_peers} peers named, "
        f"{train.n_samples} training and {test.n_samples} test samples of {train.n_features} features, "
        f"{task} with loss {loss}"
    )
