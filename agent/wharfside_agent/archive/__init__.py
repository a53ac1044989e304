"""Files in and out of containers as tar streams; no path and no link leads out of a root."""
