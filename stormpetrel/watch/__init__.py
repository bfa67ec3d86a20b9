"""The control plane: combines the workers' reports, directs the workers, runs canaries and a journal."""
