"""The control plane: what the workers saw, put together each second; what they are told; canaries; the journal."""
