"""The daemon: the only sockets, files, clocks and threads of p2pnet."""
