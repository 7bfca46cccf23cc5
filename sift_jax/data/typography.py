"""How a language sets the signs of a sentence that stands in a row, whatever its corpus does.

    "Fait-il froid dehors?", "fr"  ─►  "Fait-il froid dehors ?"       as the templates have it: a plain space
"""

import re

# A sign within a word or a number ("10:30") is none of a sentence.
_DOUBLE_SIGNS = re.compile(r"(?<=[^\s?!;:«(])[ \u00a0\u202f]?([?!;:]+)(?=[\s»”)\"]|$)")


def space_signs(text: str, language: str) -> str:
    """The sentence with the space that French has before its double signs; as it is in other languages."""
    return _DOUBLE_SIGNS.sub(r" \1", text) if language == "fr" else text
