"""Files that other processes may see: locks."""
