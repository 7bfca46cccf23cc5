"""A mixture looked at: its examples in plain form, and a page that shows what training makes of them."""
