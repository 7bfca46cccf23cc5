"""Writes the pages of docs/reference that follow from the code: commands, knobs, gin files.

python -m docs.tools.make_reference            writes what has changed
python -m docs.tools.make_reference --check    ends with 1 where a page is stale, and names it
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from docs.tools.find_commands import Command, Flag, read_commands
from docs.tools.find_knobs import Config, GinFile, read_configs, read_gin_files
from docs.tools.read_api import Entry, read_entries
from sift_jax.commands import PROGRAM

FOLDER = Path(__file__).resolve().parents[1] / "reference"
MADE = "<!-- made by python -m docs.tools.make_reference; change the code, not this page -->\n\n"
PACKAGES = {
    "commands.md": (
        "sift_jax",
        "Commands: models",
        "Training, answering, speaking, evaluation and export. Each is run as `sift-jax NAME` or `python -m MODULE`.",
    ),
    "data_commands.md": (
        "data_prep",
        "Commands: data",
        "From corpora to records. Each is run as `sift-jax data NAME` or `python -m MODULE`.",
    ),
    "benchmark_commands.md": (
        "benchmarks",
        "Commands: benchmarks",
        "What is measured, from a clone of the repository. Each is run as `python -m MODULE`.",
    ),
}
API_OPENING = """\
```python
import sift_jax

model = sift_jax.load("runs/quickstart/export")
print(model.ask("x.wav", "How fast does she speak?"))
print(model.ask(["x.wav", "y.wav"], "Which one has faster speech?"))
```

A recording is a path, or samples with their rate, or a row of a `datasets` audio column; several make a
list. `**decoding` takes `temperature`, `top_p`, `repetition_penalty`, `no_repeat_ngram`, `beams` and
`max_new_tokens`, as the [command](commands.md#sift_jaxask) does. `import sift_jax` loads nothing heavy; the
first use of a name does. What is wrong with an argument is a `ValueError` that says what to do."""
BINDABLE = (
    "Takes `--gin.NAME=value` too, once for each knob or binding: see [knobs](knobs.md) and "
    "[gin files](gin_files.md)."
)


def _cell(text: str) -> str:
    """Text as a cell of a table holds it."""
    return text.replace("|", "&#124;").replace("<", "&lt;").replace("\n", " ") or "–"


def _code(text: str) -> str:
    if "|" in text:
        return f"<code>{text.replace('|', '&#124;')}</code>"
    return f"`{text}`" if text else "–"


def _format_flags(flags: tuple[Flag, ...]) -> list[str]:
    if not flags:
        return ["No flags.", ""]
    lines = ["| flag | value | default | what it does |", "| --- | --- | --- | --- |"]
    for flag in flags:
        default = "*required*" if flag.is_required else _code(flag.default)
        names = ", ".join(f"`{name}`" for name in flag.names)
        lines.append(f"| {names} | {flag.takes} | {default} | {_cell(flag.help)} |")
    return [*lines, ""]


def _format_command(command: Command) -> list[str]:
    lines = [f"## {command.module}", ""]
    if command.description:
        lines += [f"{_cell(command.description)}", ""]
    if command.names:
        called = ", ".join(f"`{PROGRAM} {name}`" for name in command.names)
        lines += [f"{called}, or `python -m {command.module}`.", ""]
    if command.is_bindable:
        lines += [BINDABLE, ""]
    for name, (said, flags) in command.subcommands.items():
        if name:
            lines += [f"### {command.module} {name}", "", *([_cell(said), ""] if said else [])]
        lines += _format_flags(flags)
    if command.examples:
        program = (
            f"{PROGRAM} {command.names[0]}" if command.names else f"python -m {command.module}"
        )
        examples = [f"{program} {example}" for example in command.examples]
        lines += ["```bash", *examples, "```", ""]
    return lines


def make_command_page(commands: list[Command], package: str, title: str, opening: str) -> str:
    """The commands of a package with all their flags."""
    lines = [f"# {title}", "", opening, ""]
    lines += [
        "`--help` of each says the same. What a command ends with: [exit statuses](exits.md).",
        "",
    ]
    for command in commands:
        if command.module.split(".")[0] == package:
            lines += _format_command(command)
    return MADE + "\n".join(lines).rstrip() + "\n"


def _shorten(value: str, most: int = 90) -> str:
    return value if len(value) <= most else value[: most - 1].rstrip() + "…"


def make_knob_page(configs: list[Config]) -> str:
    """Every config dataclass with its fields."""
    lines = [
        "# Knobs: config dataclasses",
        "",
        "A gin file binds the fields of these classes and nothing else. Any of them can be given on the",
        "command line, as `--gin.Class.field=value`, or by its knob in capitals, `--gin.KNOB=value`, which",
        "the gin files bind to it. A class has no defaults of its own: shown are the values that one shipped",
        "config resolves to, which each section names. A value outside of what a field may hold is refused",
        "before anything is loaded.",
        "",
    ]
    for config in sorted(configs, key=lambda config: config.name):
        lines += [f"## {config.name}", ""]
        lines += [
            f"{_cell(config.doc)} Defaults are those of `{config.source}`. (`{config.module}`)",
            "",
        ]
        lines += ["| field | knob | it may hold | default | what it is |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        lines += [
            f"| `{field.name}` | {_code(field.knob)} | {_cell(field.kind)} | "
            f"{_code(_shorten(field.default))} | {_cell(field.note)} |"
            for field in config.fields
        ]
        lines += [""]
    return MADE + "\n".join(lines).rstrip() + "\n"


def make_gin_page(files: list[GinFile]) -> str:
    """Every gin file with its opening comment and its KNOBS."""
    lines = [
        "# Gin files",
        "",
        "What `--gin_file=` takes, and what those files include. Several are composed from left to right: a",
        "later file's knobs and bindings win. A knob is set on the command line by `--gin.KNOB=value`.",
        "",
    ]
    folder = ""
    for file in files:
        if (here := file.path.rpartition("/")[0]) != folder:
            folder = here
            lines += [f"## {folder}", ""]
        lines += [f"### {file.path.removeprefix('configs/')}", ""]
        lines += [_cell(file.note), ""] if file.note else []
        if file.includes:
            lines += ["Includes " + ", ".join(f"`{name}`" for name in file.includes) + ".", ""]
        if file.knobs:
            lines += ["| knob | value | what it is |", "| --- | --- | --- |"]
            lines += [
                f"| `{name}` | {_code(_shorten(value))} | {_cell(note)} |"
                for name, value, note in file.knobs
            ]
            lines += [""]
    return MADE + "\n".join(lines).rstrip() + "\n"


def make_api_page(entries: list[Entry]) -> str:
    """What `import sift_jax` offers."""
    lines = ["# Python API", "", *API_OPENING.splitlines(), ""]
    for entry in entries:
        lines += [f"{'#' * entry.level} {entry.name}", ""]
        lines += ["```python", entry.signature, "```", ""] if entry.signature else []
        lines += [entry.text, ""] if entry.text else []
    return MADE + "\n".join(lines).rstrip() + "\n"


def make_pages() -> dict[str, str]:
    """Page to its text."""
    commands = read_commands()
    pages = {name: make_command_page(commands, *given) for name, given in PACKAGES.items()}
    pages["knobs.md"] = make_knob_page(read_configs())
    pages["python_api.md"] = make_api_page(read_entries())
    pages["gin_files.md"] = make_gin_page(read_gin_files())
    return pages


def main() -> None:
    """Writes or checks the pages."""
    parser = argparse.ArgumentParser(description="Writes the generated pages of the reference.")
    parser.add_argument("--check", action="store_true", help="write nothing; name stale pages")
    flags = parser.parse_args()
    stale = []
    for name, text in make_pages().items():
        path = FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(f"docs/reference/{name}")
            if not flags.check:
                path.write_text(text, encoding="utf-8")
    if flags.check and stale:
        sys.exit(f"{', '.join(stale)} stale; run python -m docs.tools.make_reference")
    print(f"{len(stale)} pages written" if stale else "all pages are up to date")


if __name__ == "__main__":
    main()
