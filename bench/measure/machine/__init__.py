"""The host: what it is, how quiet it is, what it can do at best, and whose threads are at work."""
