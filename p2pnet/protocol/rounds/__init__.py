"""The session of one agent: feature statistics where they are needed, then the training rounds."""
