"""Device mesh and the sharding table."""
