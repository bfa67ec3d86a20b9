"""Outgoing work: drains the outbox."""
