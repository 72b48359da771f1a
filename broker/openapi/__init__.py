"""The description of the HTTP API, for machines and for people, made from what stands beside each handler."""
