"""The flags of the four commands, checked."""

import argparse
from pathlib import Path
from typing import Any

from data_prep.instruct import parse_body
from data_prep.llm.client import Endpoint
from data_prep.splits import DEV, EVALUATION, SPLITS, TRAIN
from data_prep.synthesis.speech_sources import NAMES, SpeechSource


class Parser(argparse.ArgumentParser):
    """A wrong flag is one line."""

    def error(self, message: str) -> None:
        self.exit(2, f"{message}; see python -m {self.prog} --help\n")


def add_endpoint_flags(parser: argparse.ArgumentParser, what: str) -> None:
    add = parser.add_argument
    add("--endpoint", help=f"address of an OpenAI-compatible server {what}, with /v1")
    add("--model", help="the name under which the server has it")
    add("--key_variable", default=Endpoint.key_variable, help="environment variable with the key")
    add("--body", type=parse_body, default={}, help="JSON laid over each request, null takes out")
    add("--no_system_role", action="store_true", help="for models whose template has no system message")
    add("--concurrency", type=int, default=Endpoint.concurrency, help="calls at once, of each worker")
    add("--seconds", type=float, default=Endpoint.seconds, help="time limit of a call")
    add("--attempts", type=int, default=Endpoint.attempts, help="attempts at a call")
    add("--retries", type=int, default=Endpoint.retries, help="limit of retries over each chunk of calls")


def make_endpoint(flags: argparse.Namespace) -> Endpoint | None:
    """The endpoint of the flags, or None where no address is given."""
    if not flags.endpoint:
        return None
    if not flags.model:
        raise ValueError("--endpoint needs --model=<the name under which the server has it>")
    shared: dict[str, Any] = {name: getattr(flags, name) for name in ("concurrency", "seconds", "attempts", "retries",
                                                                       "key_variable")}
    return Endpoint(url=flags.endpoint, model=flags.model, use_system_role=not flags.no_system_role, extra=flags.body,
                    **shared)


def add_size_flags(parser: argparse.ArgumentParser, what: str) -> None:
    for name, split in (("train", TRAIN), ("dev", DEV), ("evaluation", EVALUATION)):
        parser.add_argument(f"--{name}", type=int, help=f"{what} of {split} at most; all there are if not given")
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything that is made")


def make_sizes(flags: argparse.Namespace) -> dict[str, int | None]:
    sizes = dict(zip(SPLITS, (flags.train, flags.dev, flags.evaluation), strict=True))
    for split, size in sizes.items():
        if size is not None and size < 0:
            raise ValueError(f"a size of {size} for {split} is too small; give at least 0")
    return sizes


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Those that say which speech."""
    add = parser.add_argument
    add("--corpus", required=True, choices=NAMES, help="where the speech comes from; build is the folder of a build, "
        "or of another of these commands, and folder whatever audio lies there")
    add("--root", type=Path, help="its folder; for a manifest, where its paths start")
    add("--manifest", type=Path, help="a .jsonl or .tsv with a line a recording")
    add("--name", help="in data_source and ids; by default the corpus's, or that of the manifest or folder")
    add("--languages", default="en", help="those spoken, comma-separated")
    add("--min_seconds", type=float, default=0.5, help="recordings that are shorter are set aside")
    add("--max_seconds", type=float, default=30.0, help="recordings that are longer are set aside, undecoded")


def make_source(flags: argparse.Namespace, *, is_said: bool) -> SpeechSource:
    return SpeechSource(corpus=flags.corpus, root=flags.root, manifest=flags.manifest, name=flags.name,
                        languages=tuple(dict.fromkeys(flags.languages.split(","))), is_said=is_said,
                        min_seconds=flags.min_seconds, max_seconds=flags.max_seconds)
