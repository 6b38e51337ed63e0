"""Other libraries, each an extra: imported only when it is asked for."""
