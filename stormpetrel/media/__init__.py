"""Images, videos and sound: accepted formats, safe decoding, and the storage of files."""
