"""The report of a run of many agents: figures, curves, text, and baselines without a network.

Nothing here knows how the agents were run.
"""
