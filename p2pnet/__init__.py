"""Train neural networks over many machines, without a server, while the data stays where it is."""

__version__ = "0.2.0"
