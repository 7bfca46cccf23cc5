"""SIFT files to batches: records, chat, tokens, SeqIO tasks and mixtures, packing."""
