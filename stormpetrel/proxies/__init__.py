"""The reverse proxies that Stormpetrel is configured for: their configurations, their versions, and trial runs."""
