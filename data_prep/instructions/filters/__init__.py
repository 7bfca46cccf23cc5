"""What an instruction must not be, and who says so."""
