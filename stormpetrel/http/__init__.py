"""Shared by the doors: routes, typed input, responses, and the application that connects them."""
