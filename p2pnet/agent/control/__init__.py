"""The control socket: what a person on this machine asks of a running agent, and tells it to do."""
