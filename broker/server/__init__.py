"""The supervisor and the server processes."""
