"""Members of the network, found and kept by gossip, and the overlay of neighbors among them."""
