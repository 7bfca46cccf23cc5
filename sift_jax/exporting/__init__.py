"""Our parameters in the layouts of others, described and checked."""
