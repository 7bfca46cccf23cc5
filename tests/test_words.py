"""One word for one thing: the pages, and through the reference also the help texts and the comments
of knobs, use the words of the glossary in docs/concepts.md, and none that it replaces."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONCEPTS = ROOT / "docs" / "concepts.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TABLE = re.compile(r"\| not \| but \|\n\| --- \| --- \|\n((?:\|.*\|\n)+)")
# names of flags, keys and files are what they are; so is the address of a link
CODE = re.compile(r"```.*?```|^ {4}[^\n]*$|`[^`\n]+`|\]\([^)]*\)", re.DOTALL | re.MULTILINE)


def list_replaced():
    """Each phrase of the glossary's second table, with what is written in its place."""
    rows = TABLE.search(CONCEPTS.read_text(encoding="utf-8"))[1].splitlines()
    for phrases, instead in (re.findall(r"\| ([^|]+?) (?=\|)", row) for row in rows):
        for phrase in phrases.split(", "):
            yield phrase, instead


def find_replaced(text):
    """[(phrase, what to write)] of the words of a text that the glossary replaces."""
    prose = " ".join(CODE.sub(" ", text).split())
    return [
        (found[0], instead)
        for phrase, instead in list_replaced()
        # a name may hold one: SIFT-LLM, the arm llm
        for found in re.finditer(
            rf"(?<![-\w]){re.escape(phrase)}(?![-\w])",
            prose,
            0 if phrase.startswith("LLM") else re.IGNORECASE,
        )
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_the_words_of_the_glossary(page):
    text = page.read_text(encoding="utf-8")
    if page == CONCEPTS:
        text = TABLE.sub("", text).replace("| LLM", "|").replace("LLM, backbone", "")
    assert not find_replaced(text), "see the glossary in docs/concepts.md"


def test_a_replaced_word_is_found_in_prose_and_not_in_code():
    said = "Rows are set aside\nand by turns; see `--wordings` and SIFT-LLM."
    assert find_replaced(said) == [
        ("by turns", "interleaved, in turn"),
        ("set aside", "skipped"),
    ]
