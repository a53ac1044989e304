"""What runs as long as the agent does: lanes, dispatch, publishing, exits, recovery, presence."""
