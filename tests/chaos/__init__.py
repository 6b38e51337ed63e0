"""What happens to agents over real and virtual networks that do harm: `scripts/test -m chaos`."""
