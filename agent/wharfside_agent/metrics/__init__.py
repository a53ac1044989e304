"""What the agent tells of itself over HTTP: figures for Prometheus, whether it lives and is ready.

The only room that imports prometheus_client. It knows no service: composition says what each
metric reads, and the library's process-wide registry is not used.
"""
