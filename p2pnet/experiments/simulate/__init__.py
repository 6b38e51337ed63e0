"""`p2pnet simulate`: a network of agents in one process and virtual time, through the machines that the daemon runs."""
