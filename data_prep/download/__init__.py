"""Corpora that anyone may download, unpacked where their readers look for them."""
