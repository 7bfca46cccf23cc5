"""SIFT files that somebody else made: checked line by line, and joined to the corpora that they are
about."""
