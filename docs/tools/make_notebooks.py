"""Each tutorial as a script and as a notebook, made of its page.

python -m docs.tools.make_notebooks            writes what has changed
python -m docs.tools.make_notebooks --check    ends with 1 where one is stale, and names it

    docs/tutorials/NAME.md        NAME.ipynb                 NAME.py
    prose                    ─►   a cell of Markdown         # %% [markdown]
    ```bash                  ─►   a cell with %%bash         run('''…''')
    ```python                ─►   a cell                     # %%
    ```json title="x.jsonl"  ─►   a cell that writes it      write("x.jsonl", '''…''')

Any other block is something to read, and stays in the prose. A file of Python is written as any
file is, and not run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "tutorials"
PAGE, SHELL, CODE, FILE = "page", "bash", "python", "file"
_FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$\n?', re.MULTILINE | re.DOTALL)
_OPENING = '''\
"""{title}: the commands and the code of {name}.md, made by python -m docs.tools.make_notebooks."""

import subprocess
from pathlib import Path


def run(commands):
    """Commands of a shell; the first one that fails ends the script."""
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], check=True)


def write(name, text):
    """A file of the tutorial, in the current folder."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
'''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """`kind` is one of PAGE, SHELL, CODE, FILE; a file has a name."""

    kind: str
    text: str
    name: str = ""


def read_cells(page: str) -> Iterator[Cell]:
    """A page's prose and blocks, in order."""
    prose, end = "", 0
    for found in _FENCE.finditer(page):
        language, name, text = found[1], found[2] or "", found[3]
        prose += page[end : found.start()]
        end = found.end()
        kind = FILE if name else {"bash": SHELL, "python": CODE}.get(language)
        if kind is None:
            prose += found[0]
            continue
        if prose.strip():
            yield Cell(kind=PAGE, text=prose.strip())
        prose = ""
        yield Cell(kind=kind, text=text.rstrip("\n"), name=name)
    if (prose + page[end:]).strip():
        yield Cell(kind=PAGE, text=(prose + page[end:]).strip())


def name_title(page: str) -> str:
    return page.partition("\n")[0].removeprefix("# ").strip()


def _write_notebook_cell(cell: Cell, number: int) -> dict[str, object]:
    source = cell.text
    if cell.kind == SHELL:
        source = f"%%bash -euo pipefail\n{cell.text}"
    elif cell.kind == FILE:
        # not %%writefile, which makes no folders
        quoted = f"r'''\n{_check_quotable(cell.text)}\n'''[1:]"
        source = (
            f"from pathlib import Path\n\npath = Path({json.dumps(cell.name)})\n"
            f"path.parent.mkdir(parents=True, exist_ok=True)\n"
            f'path.write_text({quoted}, encoding="utf-8")'
        )
    common = {
        "id": f"cell-{number}",
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }
    if cell.kind == PAGE:
        return {"cell_type": "markdown", **common}
    return {"cell_type": "code", "execution_count": None, "outputs": [], **common}


def make_notebook(page: str) -> str:
    """The page as Jupyter reads it (nbformat 4.5), nothing run."""
    cells = [_write_notebook_cell(cell, n) for n, cell in enumerate(read_cells(page), 1)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _check_quotable(text: str) -> str:
    if "'''" in text or text.endswith("'"):
        raise ValueError(
            f"a block with three quotes, or one at its end, cannot be quoted: {text[:60]}"
        )
    return text


def _write_script_cell(cell: Cell) -> str:
    if cell.kind == PAGE:
        lines = [f"# {line}".rstrip() for line in cell.text.splitlines()]
        return "\n".join(["# %% [markdown]", *lines])
    if cell.kind == CODE:
        return f"# %%\n{cell.text}"
    quoted = f"r'''\n{_check_quotable(cell.text)}\n'''"
    if cell.kind == SHELL:
        return f"# %%\nrun({quoted})"
    return f"# %%\nwrite({json.dumps(cell.name)}, {quoted}[1:])"


def make_script(page: str, name: str) -> str:
    """The page as a script in cells, as editors know them."""
    opening = _OPENING.format(title=name_title(page), name=name)
    return "\n\n".join([opening, *map(_write_script_cell, read_cells(page))]) + "\n"


def make_files() -> dict[Path, str]:
    """Path to its text, for every tutorial."""
    made = {}
    for path in sorted(FOLDER.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        made[path.with_suffix(".ipynb")] = make_notebook(page)
        made[path.with_suffix(".py")] = make_script(page, path.stem)
    return made


def main() -> None:
    """Writes or checks the files."""
    parser = argparse.ArgumentParser(description="Writes the tutorials' scripts and notebooks.")
    parser.add_argument("--check", action="store_true", help="write nothing; name stale files")
    flags = parser.parse_args()
    made = make_files()
    stale = [
        path
        for path, text in made.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in () if flags.check else stale:
        path.write_text(made[path], encoding="utf-8")
    names = ", ".join(f"docs/tutorials/{path.name}" for path in stale)
    if flags.check and stale:
        sys.exit(f"{names} stale; run python -m docs.tools.make_notebooks")
    print(f"{len(stale)} files written" if stale else "all files are up to date")


if __name__ == "__main__":
    main()
