"""Membership by gossip, failure detection, and the overlay graph of neighbors."""
