"""A small recurrent network on sequences: is the faster of two waves before the slower one, or behind it?

python recurrent.py                    # writes waves.npz: X (400, 16, 2), y (400,)
p2pnet simulate --agents 4 --data waves.npz --factory recurrent:Net --rounds 40
"""

import numpy as np
from torch import nn


class Net(nn.Module):
    """A GRU over the steps of a sequence, whose last state is classified. Samples come in their shape."""

    def __init__(self, input_shape: tuple[int, ...], n_outputs: int, width: int = 8) -> None:
        super().__init__()
        _, n_channels = input_shape
        self.gru = nn.GRU(n_channels, width, batch_first=True)
        self.head = nn.Linear(width, n_outputs)

    def forward(self, x):
        states, _ = self.gru(x)
        return self.head(states[:, -1])


def waves(n_samples: int = 400, n_steps: int = 16, seed: int = 0) -> dict[str, np.ndarray]:
    """Two noisy waves a sample, of which the first leads or lags: also a source of its own, `recurrent:waves`."""
    rng = np.random.default_rng(seed)
    lead = rng.integers(0, 2, n_samples)
    start = rng.uniform(0, 2 * np.pi, (n_samples, 1))
    time = np.linspace(0, 4 * np.pi, n_steps)
    second = np.sin(time + start)
    first = np.sin(time + start + np.where(lead, 0.8, -0.8)[:, np.newaxis])
    X = np.stack([first, second], axis=2) + 0.3 * rng.standard_normal((n_samples, n_steps, 2))
    return {"X": X, "y": np.where(lead, "leads", "lags")}


if __name__ == "__main__":
    np.savez("waves.npz", **waves())
