"""Messages that wait, and what a link in one proves."""
