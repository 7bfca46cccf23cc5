"""python -m sift_jax.preview --gin_file=configs/quickstart/stage2.gin --out=preview.html

    [--examples=10] [--split=train] [--gin.NAME=value …] [--module_import=my_tasks]

A page of what a run would read: its tasks with their rates, how a batch is packed, and examples with
their recordings, token by token.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from sift_jax.exits import report_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Shows a mixture as a page: tasks, rates, packing, and examples by token; "
        "--gin.NAME=value changes the gin file."
    )
    parser.add_argument("--gin_file", action="append", required=True, help="a run's gin file")
    parser.add_argument(
        "--module_import",
        action="append",
        default=[],
        help="a module of your own that defines tasks or mixtures",
    )
    parser.add_argument("--out", required=True, help="the page to write, an .html file")
    parser.add_argument("--examples", type=int, default=10, help="recordings with their questions")
    parser.add_argument("--split", default="train", help="train, dev or another of the records")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags, rest = parser.parse_known_args()
    for word in rest:
        if not word.startswith("--gin.") or "=" not in word:
            parser.error(f"unknown flag {word}; bindings are written --gin.NAME=value")

    def run() -> None:
        if flags.examples < 1:
            raise ValueError(f"--examples={flags.examples} is too few; give 1 or more")
        if not flags.out.endswith(".html"):
            raise ValueError(f"--out={flags.out} is not an .html file; name such a file")
        from sift_jax.previews.open_mixture import open_gin_mixture
        from sift_jax.previews.page import make_page
        from sift_jax.storage.whole_files import write_whole

        sys.path.insert(0, str(Path.cwd()))
        modules = [importlib.import_module(name) for name in flags.module_import]
        bindings = [word.removeprefix("--gin.") for word in rest]
        stream = open_gin_mixture(flags.gin_file, bindings, split=flags.split, modules=modules)
        name = ", ".join(flags.gin_file)
        page = make_page(stream, name=name, split=flags.split, count=flags.examples)
        write_whole(Path(flags.out), page.write_html())
        print(flags.out)

    report_errors(run, is_debug=flags.debug)


if __name__ == "__main__":
    main()
