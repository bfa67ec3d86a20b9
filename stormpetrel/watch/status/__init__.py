"""The public status page: the state of each channel, its history, incidents, feeds and badges."""
