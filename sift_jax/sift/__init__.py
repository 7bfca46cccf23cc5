"""The SIFT row: its layout, its labels, and how they are said in five languages."""
