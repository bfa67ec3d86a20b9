"""The SMS gateway: providers, the durable inbox, the lanes of the outbox, commands and their answers."""
