"""Nouns: frozen values and pure functions. No clock, no I/O."""
