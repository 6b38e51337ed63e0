"""The network's records on this machine: keys that sign, files, invitations, and how a machine joins."""
