"""Conserving links, the tracker that is computed from them, and the account of what was conserved."""
