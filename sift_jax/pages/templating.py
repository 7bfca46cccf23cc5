"""Templates of the pages: HTML in files of its own, with places for values.

    templates/page.html      what every page has: title, sheet, main part, scripts
    templates/document.html  page.html, and a title, links, sections and a footer in it
    templates/parts.html     a macro a part of a document: table, tiles, note, section, …

A value is text and cannot open a tag, whoever wrote it; what is HTML already says so by its type:

    {{ "<b>" }} ─► &lt;b&gt;        {{ Markup("<b>") }} ─► <b>
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).with_name("templates")


@functools.cache
def _make_environment(folder: Path) -> jinja2.Environment:
    # late: only those who write a page need it
    import jinja2

    return jinja2.Environment(
        # a package's own templates, and those of this folder, which they extend
        loader=jinja2.FileSystemLoader([folder, _TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(template: Path, **values: Any) -> str:
    """The page of a template; a value that it names and is not given is an error."""
    made = _make_environment(template.parent).get_template(template.name)
    return made.render(**values) + "\n"


def render_part(macro: str, *values: Any) -> Markup:
    """What a macro of templates/parts.html makes of the values."""
    module = _make_environment(_TEMPLATES).get_template("parts.html").module
    return Markup(getattr(module, macro)(*values))
