"""Conserving links, gradient tracking over them, and the audit of conservation."""
