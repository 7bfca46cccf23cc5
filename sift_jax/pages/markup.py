"""Texts of anybody's as text: what a corpus, a model or a folder is called cannot open a tag or a
link."""

from __future__ import annotations

import html
import re
from typing import Any


def escape_text(value: Any) -> str:
    """For HTML, between tags and in attributes."""
    return html.escape(str(value), quote=True)


def escape_markdown(value: Any) -> str:
    """One line without markup: a text stays a text in a table's cell."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text)
