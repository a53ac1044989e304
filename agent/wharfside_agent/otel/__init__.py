"""Traces by OpenTelemetry: the only room that imports it, and imported only where it is wanted."""
