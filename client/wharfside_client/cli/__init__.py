"""The operators' CLI.

Its modules load quickly, for `--help` and completion: asyncio, msgspec, nats and rich
are imported when a command runs.
"""
