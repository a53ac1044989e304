"""What the bus is told: events, the latest state, and that the node is there."""
