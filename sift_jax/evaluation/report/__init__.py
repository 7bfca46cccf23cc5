"""Pages made of what an evaluation left: one of a single evaluation, one that compares several."""
