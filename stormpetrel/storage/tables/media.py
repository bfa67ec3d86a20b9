"""Pictures, films and sound, and where their bytes are."""
