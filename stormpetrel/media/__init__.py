"""Pictures, films and sound: what is taken, how it is read safely, and where the files are kept."""
