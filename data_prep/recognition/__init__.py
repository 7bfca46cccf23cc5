"""What writes speech down, for data and for its evaluation alike."""
