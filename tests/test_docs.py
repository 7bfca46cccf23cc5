"""The README and the pages of docs/ hang together: every link leads somewhere, every page has its
place in the menu, every command and file that they name exists, and the reference is what the code
says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from docs.tools.find_knobs import NOTES, read_configs
from sift_jax.commands import COMMANDS, PROGRAM, find_command
from sift_jax.extras import EXTRAS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
OWN = ("mine", "NAME")
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


def test_the_readme_is_one_page():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_pictures_are_small_and_shown():
    text = "".join(page.read_text(encoding="utf-8") for page in TEXTS)
    for picture in (DOCS / "pictures").iterdir():
        assert picture.stat().st_size <= 150_000, picture.name
        assert f"pictures/{picture.name}" in text, f"no page shows {picture.name}"


@pytest.fixture(scope="module")
def commands():
    """Every command with the flags of its parser, as `docs.tools.find_commands` prints them."""
    words = [sys.executable, "-m", "docs.tools.find_commands"]
    return json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)


def test_the_reference_is_what_the_code_says():
    words = [sys.executable, "-m", "docs.tools.make_reference", "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_knob_is_described():
    undescribed = [
        f"{config.name}.{field.name}"
        for config in read_configs()
        for field in config.fields
        if not field.note or not field.default
    ]
    assert not undescribed, (
        f"{undescribed}: write a comment above the field, or a line in docs/tools/knob_notes.json, "
        "and bind it in a config of docs/tools/find_knobs.py SOURCES"
    )


def test_no_note_is_left_over():
    configs = read_configs()
    fields = {f"{config.name}.{field.name}" for config in configs for field in config.fields}
    notes = json.loads(NOTES.read_text(encoding="utf-8"))
    assert set(notes) <= fields | {config.name for config in configs}


def test_every_environment_variable_is_described():
    paths = [
        path for package in ("sift_jax", "data_prep") for path in (ROOT / package).rglob("*.py")
    ]
    code = "".join(path.read_text(encoding="utf-8") for path in paths)
    page = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    assert not [word for word in set(re.findall(r"SIFT_[A-Z_]+", code)) if f"`{word}`" not in page]


def test_every_extra_is_described():
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    assert not [name for name in EXTRAS if f"`{name}`" not in page]
    for text in (page, (ROOT / "README.md").read_text(encoding="utf-8")):
        for names in re.findall(r"\[([a-z,]+)\]\"", text):
            assert set(names.split(",")) <= set(EXTRAS), names


def test_the_files_of_the_architecture_exist():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    files = set(re.findall(r"(?<![\w/.])((?:\w+/)+\w+\.py)\b", text))
    homes = (ROOT, ROOT / "sift_jax")
    assert files and not [f for f in files if not any((home / f).is_file() for home in homes)]


def read_lines(page):
    """The command lines of a page: those of its blocks of bash, and those in `…` that begin with
    python. What a line leaves out (…) and its comment are dropped."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = re.sub(r"\\\n\s*", "", "\n".join(blocks)).splitlines()
    lines += re.findall(r"`(python -m [^`\n]+|sift-jax [^`\n]+)`", FENCED.sub("", text))
    return [line.replace("…", "").strip() for line in lines]


def check_command(words, commands):
    """Whether the module is there, its flags are its parser's, and its files exist."""
    module, *rest = words
    if (ROOT / module.replace(".", "/") / "__main__.py").is_file() and not rest:
        return
    assert module in commands, f"python -m {module} is not a command"
    subcommands = commands[module]["subcommands"]
    name = rest[0] if "" not in subcommands and rest and not rest[0].startswith("-") else ""
    if "" not in subcommands and not name:
        # named as a whole
        assert not rest, f"{module} needs one of {', '.join(subcommands)}"
        return
    assert name in subcommands, f"{module} has no {name}"
    taken = [*subcommands[name][1]]
    if commands[module]["is_bindable"]:
        # what any command takes that reads gin files
        taken += commands["sift_jax.train"]["subcommands"][""][1]
    flags = {flag for entry in taken for flag in entry["names"]} | {"--help"}
    for word in rest:
        flag, _, value = word.partition("=")
        if flag.startswith("--gin."):
            assert commands[module]["is_bindable"], f"{module} takes no {flag}"
        elif flag.startswith("--"):
            assert flag in flags, f"{module} {name} has no {flag}"
        if flag == "--gin_file" and value:
            assert (ROOT / value).is_file(), f"{value} does not exist"


def check_called(words, commands):
    """The same of what stands behind sift-jax."""
    command, rest = find_command(words)
    if command is not None:
        check_command([command.module, *rest], commands)
    else:
        # of itself: --help, --version, completion, or the first word of several commands
        firsts = {each.name.split()[0] for each in COMMANDS}
        known = {"completion", "--help", "--version", "NAME", *firsts}
        assert not words or words[0] in known, words


def test_every_command_is_in_the_reference(commands):
    pages = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    for command in COMMANDS:
        assert command.module in commands and f"`{PROGRAM} {command.name}`" in pages, command.name


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_commands_exist_with_their_flags(page, commands):
    for line in read_lines(page):
        words = shlex.split(line, comments=True)
        if "python" in words and "-m" in words:
            words = words[words.index("-m") + 1 :]
            if words and words[0].split(".")[0] in ("sift_jax", "data_prep", "benchmarks"):
                check_command(words, commands)
        elif words[:1] == [PROGRAM]:
            check_called(words[1:], commands)
        elif words[:1] == ["make"]:
            targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert not [w for w in words[1:] if "=" not in w and w not in targets], line


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_files_that_are_named_exist(page):
    named = re.findall(
        r"(?<![\w/.-])(?:configs|tpu_scripts|tests|docs|benchmarks|data_prep|sift_jax)/[\w/]+\.\w+",
        read_prose(page),
    )
    # files of the reader's own are called mine, or NAME
    missing = sorted(
        path for path in set(named) if not (ROOT / path).exists() and Path(path).stem not in OWN
    )
    assert not missing


def test_the_errors_of_troubleshooting_are_those_of_the_code():
    """Each message that heads an item is looked up in the code, part by part between its …"""
    page = (DOCS / "guides" / "troubleshooting.md").read_text(encoding="utf-8")
    paths = [*(ROOT / "sift_jax").rglob("*.py"), *(ROOT / "data_prep").rglob("*.py")]
    code = " ".join(path.read_text(encoding="utf-8") for path in paths)
    # a message may be written over several lines, or hold values
    said = re.sub(r"\{[^{}]*\}", "…", re.sub(r'"\s+f?"', "", code))
    messages = re.findall(r"^\* `([^`]+)`$", page, re.MULTILINE)
    own = {"sift-jax: command not found"}
    parts = [part.strip() for each in messages if each not in own for part in each.split("…")]
    strange = [part for part in parts if len(part) > 12 and part not in said]
    assert len(messages) > 15 and not strange, f"no message has {strange}"
