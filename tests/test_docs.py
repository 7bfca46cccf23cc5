"""The README and the pages of docs/ hang together: every link leads somewhere, every page has its
place in the menu."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)


def read_prose(path):
    """A page without its blocks of code."""
    return FENCED.sub("", path.read_text(encoding="utf-8"))


def list_anchors(path):
    """What #… may name in a page: its headings, lower-case, with hyphens between the words."""
    headings = re.findall(r"^#+ (.+)$", read_prose(path), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", h.lower()).strip()) for h in headings}


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(read_prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name(page)} links to {link}, which is not there"
        if anchor:
            assert anchor in list_anchors(target), f"{name(page)}: {link} has no such heading"


def test_every_page_is_in_the_menu_once():
    menu = re.findall(r"([\w/-]+\.md)\s*$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(menu) == [str(page.relative_to(DOCS)) for page in PAGES]


def test_the_pages_lie_within_the_site():
    # a link out of docs/ is broken on the site, though not in the repository
    for page in PAGES:
        for link in LINK.findall(read_prose(page)):
            if not re.match(r"[a-z]+:|#", link):
                target = (page.parent / link.partition("#")[0]).resolve()
                assert target.is_relative_to(DOCS), f"{name(page)} links to {link}, outside docs/"
