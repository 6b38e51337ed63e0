"""Message types: their fields, bounds and wire encoding."""
