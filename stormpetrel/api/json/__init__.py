"""The Mastodon API's entities: their types, their conversion from model values, and their bytes."""
