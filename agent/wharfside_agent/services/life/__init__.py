"""A container's life as the node keeps it: started, watched, ended, restarted."""
