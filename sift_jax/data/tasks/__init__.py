"""Tasks and mixtures: what they are called, how often each comes, and SeqIO's view of them."""
