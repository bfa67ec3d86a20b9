"""Caches for active readers: their home timelines, flags, filters, and the instance's counts."""
