"""The node agent: takes commands from NATS, runs containers, publishes what became of them.

Floors, top to bottom (import-linter keeps them): cli, app and doctor, handlers,
services, ports, core. The outer rooms (runtime, watchers, store, bus) implement
ports; only app and doctor know them.
"""
