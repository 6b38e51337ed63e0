"""With whom a node has links: admission, neighbors that are named or chosen by gossip, redial and backoff."""
