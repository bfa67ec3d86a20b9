"""The stores' machinery: connections, statements, durable writes, ids, migrations and snapshots."""
