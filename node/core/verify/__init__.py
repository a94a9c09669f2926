"""The verification engine: what is needed, what was found, and what follows from it."""
