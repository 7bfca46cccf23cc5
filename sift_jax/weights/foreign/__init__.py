"""Files of other programs, read for import_weights without running anything of them."""
