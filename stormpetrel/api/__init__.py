"""Doors, part one: the platform API (Mastodon client API, OAuth 2). It parses, calls a rule and renders."""
