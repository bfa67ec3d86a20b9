"""Migrations, run by stormpetrel.storage.migrate; one file a step, none breaks the release before it."""
