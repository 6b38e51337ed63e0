"""A small head on features that are not trained: only the head's parameters are exchanged.

p2pnet simulate --agents 4 --data digits --factory frozen_features:Net --rounds 30
"""

import torch
from torch import nn


class Net(nn.Module):
    """A frozen backbone, and a linear layer that is trained.

    Load the backbone's parameters from a file here, the same at all agents. This one is drawn at random, by the seed
    that p2pnet sets while it makes a model, and so is the same everywhere, too. Frozen by eval(), it may have
    BatchNorm.
    """

    def __init__(self, n_outputs: int, n_features: int = 64) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, n_features, kernel_size=5),
            nn.BatchNorm2d(n_features),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.backbone.requires_grad_(False).eval()
        self.head = nn.Linear(4 * n_features, n_outputs)

    def forward(self, x):
        with torch.no_grad():
            features = self.backbone(x)
        return self.head(features)
