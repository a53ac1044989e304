"""Images of containers: taken, kept, handed out, gone on from."""
