"""NATS: the only room that imports nats."""
