"""A small convolutional network on images of 8 x 8: handwritten digits.

p2pnet simulate --agents 4 --data digits --factory convolutional:Net --workers 2 --rounds 100
p2pnet demo --agents 4 --data digits --factory convolutional:Net --rounds 100
"""

from torch import nn


class Net(nn.Module):
    """Two convolutions, each with the largest of four values, and a linear layer.

    p2pnet says how many outputs it needs.
    """

    def __init__(self, n_outputs: int, channels: int = 12) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),  # the data set is a table of 64 columns
            nn.Conv2d(1, channels, kernel_size=3, padding=1),
            nn.Tanh(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
            nn.Tanh(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * channels * 4, n_outputs),
        )

    def forward(self, x):
        return self.layers(x)
