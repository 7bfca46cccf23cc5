"""An evaluated checkpoint as it travels with the package: an export, samples, and a card."""
