"""Text without what only an eye can read: tags, tables, links, bullets, references.

"<p>See <b>Fig. 2</b> [12] &amp; [the map](http://a.b)</p>"   ─ strip_markup ─►  "See Fig. 2 & the map"
"| City | People |\\n|---|---|\\n| Ulm | 126,000 |"            ─────────────────►  "City, People. Ulm, 126,000."
"""

import html
import re
import unicodedata

_COMMENT = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_CELL = re.compile(r"</(?:td|th)\s*>", re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6]|/table)\b[^>]*>", re.IGNORECASE)
_INLINE = re.compile(
    r"</?(?:b|i|u|a|q|em|strong|span|sup|sub|code|small|mark|cite|abbr|font)(?:\s[^<>]*)?>",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,300}>")
_WIKI_LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_REFERENCE = re.compile(
    r"\s?\[(?:\d{1,3}(?:[,–-]\s?\d{1,3})*|[a-z]|citation needed|edit|note \d+)\]"
)
_EMPHASIS = re.compile(r"(\*\*|__|~~|'''|''|`{1,3})(?=\S)(.+?)(?<=\S)\1")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s+(.*?)\s*#*|={2,6}\s*(.*?)\s*={2,6})\s*$")
_BULLET = re.compile(r"^\s*(?:[•·▪◦‣●○*–-]|\d{1,2}[.)])\s+")
_RULE = re.compile(r"^\s*[|+:=\s-]{3,}$")
_ENDED = (".", "!", "?", ":", ";", ",", "…")
# Fewer letters than this share of all that is no space, and a text is a table of numbers, or no
# text.
_LEAST_LETTERS = 0.5


def strip_markup(text: str) -> str:
    """One paragraph of plain text; what stood on lines of its own ends like a sentence."""
    text = _COMMENT.sub(" ", text)
    text = _CELL.sub(" | ", text)
    text = _TAG.sub(" ", _INLINE.sub("", _BREAK.sub("\n", text)))
    # twice: passages scraped from pages hold escaped entities
    text = html.unescape(html.unescape(text))
    for pattern, by in (
        (_TEMPLATE, " "),
        (_WIKI_LINK, r"\1"),
        (_LINK, r"\1"),
        (_REFERENCE, ""),
        (_EMPHASIS, r"\2"),
    ):
        text = pattern.sub(by, text)
    text = "".join(
        " "
        if unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cn", "Cs") and letter != "\n"
        else letter
        for letter in text
    )
    lines = [line for line in map(_strip_line, text.split("\n")) if line]
    if len(lines) > 1:
        lines = [line if line.endswith(_ENDED) else line + "." for line in lines]
    return " ".join(" ".join(lines).split())


def is_prose(text: str) -> bool:
    """Whether there is something to say in a text without markup: more letters than numbers and
    signs."""
    seen = [letter for letter in text if not letter.isspace()]
    return bool(seen) and sum(letter.isalpha() for letter in seen) >= _LEAST_LETTERS * len(seen)


def _strip_line(line: str) -> str:
    if _RULE.match(line):
        return ""
    if heading := _HEADING.match(line):
        line = heading.group(1) or heading.group(2) or ""
    line = _BULLET.sub("", line.strip().removeprefix("{|").removesuffix("|}").removeprefix("|-"))
    if line.count("|") >= 1 or "\t" in line:
        cells = [cell.strip(" !") for cell in re.split(r"\|+|\t+|!!", line)]
        line = ", ".join(cell for cell in cells if cell)
    return line.strip()
