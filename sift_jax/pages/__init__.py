"""Pages that the project writes: parts as data, HTML in templates, one sheet, players."""
