"""Peering: admission control, static and overlay neighbors, redial and backoff."""
