"""The live page: a browser on this machine films, the server on this machine tracks, nothing leaves it."""
