"""Protocols and plain records alone: what the agent needs of the world outside."""
