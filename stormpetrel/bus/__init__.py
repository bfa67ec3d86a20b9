"""The bus: events between the processes of one machine, and between machines."""
