"""Migrations, run by stormpetrel.storage.engine.migrate; one file a step, none breaks the release before it."""
