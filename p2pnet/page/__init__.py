"""`p2pnet page`: a running agent and its network, to be looked at with a browser. A process of its own."""
