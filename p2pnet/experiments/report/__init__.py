"""What a run of many agents is summed up in: figures, curves, words, and what the same samples give without a network.

Nothing here knows how the agents were run.
"""
