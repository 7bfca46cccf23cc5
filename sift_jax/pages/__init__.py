"""Pages of HTML and Markdown that the project writes: what they have in common."""
