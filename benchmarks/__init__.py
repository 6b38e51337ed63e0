"""Benchmarks of the mathematics, the transport, the daemon and the simulator: `python -m benchmarks list`."""
