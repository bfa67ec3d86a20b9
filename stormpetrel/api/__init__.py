"""Doors, part one: the platform API (Mastodon client API, OAuth 2): parse, call a rule, render."""
