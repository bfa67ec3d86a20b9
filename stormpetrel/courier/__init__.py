"""Background work: drains the outbox."""
