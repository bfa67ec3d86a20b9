"""The spool of the sms role, an SQLite file of its own: texts that came in, and texts to send.

It is separate from the store so that messages are stored and acknowledged while the store is locked, down or full.
"""
