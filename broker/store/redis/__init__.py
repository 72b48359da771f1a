"""The way into Redis: connections, commands in bursts, scripts and keys."""
