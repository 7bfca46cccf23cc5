"""Our parameter paths and the ecosystem's keys, read both ways."""
