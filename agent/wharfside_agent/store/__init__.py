"""SQLite: the agent's memory across its own death."""
