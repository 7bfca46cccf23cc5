"""`python -m data_prep` lists the commands of the data preparation, one line each, in their own
words."""

import ast
from pathlib import Path

_PACKAGE = Path(__file__).parent


def list_commands() -> dict[str, str]:
    """Command to its first line: every module and package here that can be run by itself."""
    found = {}
    for path in sorted([*_PACKAGE.rglob("*.py")]):
        if path == Path(__file__):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        runs = any(
            isinstance(node, ast.If) and "__main__" in ast.dump(node.test) for node in tree.body
        )
        if runs:
            parts = path.relative_to(_PACKAGE.parent).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__main__")
            found[name] = (ast.get_docstring(tree) or "").split("\n")[0]
    return found


def main() -> None:
    """Prints the list."""
    commands = list_commands()
    width = max(map(len, commands))
    print("\n".join(f"python -m {name:{width}}  {line}" for name, line in commands.items()))
    print("\nEach has --help.")


if __name__ == "__main__":
    main()
