"""Records to batches: records, the plan, tasks and mixtures, the layout of a row, the stream of
batches."""
