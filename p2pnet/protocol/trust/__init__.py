"""Trust: signed records that say which keys belong to a network, and how they spread."""
