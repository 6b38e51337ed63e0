"""The section "processes" of scripts/chaos: daemons over real sockets, and what can happen to them."""
