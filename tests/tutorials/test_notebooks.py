"""Every tutorial is a page, a script and a notebook, and all three say the same."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from docs.tools.make_notebooks import (
    CODE,
    FILE,
    FOLDER,
    PAGE,
    SHELL,
    make_files,
    make_notebook,
    make_script,
    read_cells,
)

ROOT = Path(__file__).parents[2]
PAGES = sorted(FOLDER.glob("*.md"))
SAMPLE = """# A page

Prose.

```json
{"read": "only"}
```

```bash
printf 'a\\n' > made.txt
cat made.txt made.txt
```

```toml title="in/mine.toml"
name = "x"
```

Then:

```python
from pathlib import Path

print(Path("in/mine.toml").read_text(), end="")
```
"""


def test_scripts_and_notebooks_are_those_of_the_pages():
    made = make_files()
    there = {path for suffix in ("*.py", "*.ipynb") for path in FOLDER.glob(suffix)}
    assert there == set(made), "run python -m docs.tools.make_notebooks"
    stale = [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run python -m docs.tools.make_notebooks"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_its_script_and_its_notebook(page):
    text = page.read_text(encoding="utf-8")
    assert f"[script]({page.stem}.py)" in text and f"[notebook]({page.stem}.ipynb)" in text


def test_a_page_becomes_cells_in_their_order():
    cells = list(read_cells(SAMPLE))
    assert [cell.kind for cell in cells] == [PAGE, SHELL, FILE, PAGE, CODE]
    # what is to be read and not to be run stays in the prose
    assert '```json\n{"read": "only"}\n```' in cells[0].text
    assert cells[2].name == "in/mine.toml"


def test_a_script_does_what_the_page_says(tmp_path):
    path = tmp_path / "page.py"
    path.write_text(make_script(SAMPLE, "page"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, path.name], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == 'a\na\nname = "x"\n'


def test_a_script_ends_with_the_first_command_that_fails(tmp_path):
    page = "# A page\n\n```bash\nfalse\necho after\n```\n"
    path = tmp_path / "page.py"
    path.write_text(make_script(page, "page"), encoding="utf-8")
    done = subprocess.run([sys.executable, path.name], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "after" not in done.stdout


def test_a_notebook_has_what_jupyter_asks_for():
    notebook = json.loads(make_notebook(SAMPLE))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        assert {"cell_type", "metadata", "source", "id"} <= cell.keys()
        assert (cell["cell_type"] == "code") == ("outputs" in cell and "execution_count" in cell)
    sources = ["".join(cell["source"]) for cell in cells]
    assert sources[1].startswith("%%bash -euo pipefail\nprintf")


def test_a_file_of_a_notebook_is_that_of_its_script(tmp_path, monkeypatch):
    """In a folder that is not there yet, with the blanks that its first line begins with."""
    page = '# A page\n\n```text title="in/x.txt"\n  first\nlast\n```\n'
    monkeypatch.chdir(tmp_path)
    (cell,) = (c for c in json.loads(make_notebook(page))["cells"] if c["cell_type"] == "code")
    exec("".join(cell["source"]), {})
    (tmp_path / "page.py").write_text(make_script(page, "page"), encoding="utf-8")
    (tmp_path / "script").mkdir()
    subprocess.run([sys.executable, "../page.py"], cwd=tmp_path / "script", check=True)
    for written in (tmp_path / "in/x.txt", tmp_path / "script/in/x.txt"):
        assert written.read_text(encoding="utf-8") == "  first\nlast\n"


def test_a_block_that_cannot_be_quoted_is_refused():
    with pytest.raises(ValueError, match="a block with three quotes"):
        make_script("# A page\n\n```bash\nprintf '''a'''\n```\n", "page")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_can_be_parsed(page):
    for cell in read_cells(page.read_text(encoding="utf-8")):
        if cell.kind == CODE or cell.name.endswith(".py"):
            ast.parse(cell.text)
        elif cell.kind == SHELL:
            subprocess.run(["bash", "-n", "-c", cell.text], check=True)
