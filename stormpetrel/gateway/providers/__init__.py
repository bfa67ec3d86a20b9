"""One module for each kind of provider: it turns a carrier's protocol into the interface of gateway/provider.py."""
