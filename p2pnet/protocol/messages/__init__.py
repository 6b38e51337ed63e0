"""Messages: their fields, their bounds, and their bytes on the wire."""
