"""Every command of the project: its name behind `sift-jax`, its module behind `python -m`.

find_command(["data", "build", "--corpus=mls"]) ─► the command data_prep.build, ["--corpus=mls"]
make_parser(command)                            ─► its flags, without running or loading anything
"""

from __future__ import annotations

import dataclasses
import importlib
import types
from collections.abc import Sequence

from sift_jax.flags import Parser, call_as

PROGRAM = "sift-jax"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """`name` is one word or two; the module has make_parser() and main(arguments). What stands in
    `arguments` comes before the user's."""

    name: str
    module: str
    summary: str
    group: str
    arguments: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        return f"{PROGRAM} {self.name}"


# groups and commands in the order in which a person comes by them
_TABLE: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Start here": (
        (
            "quickstart",
            "sift_jax.quickstart",
            "Build data, train, ask and evaluate at small scale, in nine steps.",
        ),
        (
            "laptop",
            "sift_jax.laptop",
            "Download weights and speech, train a small model, and ask it.",
        ),
    ),
    "Prepare data": (
        ("data download", "data_prep.download", "Download a corpus that anyone may download."),
        ("data build", "data_prep.build", "Turn a speech corpus into instructions and records."),
        ("data tokenizer", "data_prep.tokenizer", "Train a small tokenizer on SIFT files."),
        ("data tasks", "data_prep.tasks", "Add stage 1 tasks of a corpus: ASR, TTS, translation."),
        (
            "data wordings",
            "data_prep.tasks.write_wordings",
            "Have a language model write more paraphrases of stage 1 instructions.",
        ),
        (
            "data instruct",
            "data_prep.instruct",
            "Have a language model write the instructions of a measured corpus.",
        ),
        (
            "data self-answer",
            "data_prep.self_answer",
            "Have a decoder answer instructions about a measured corpus by itself.",
        ),
        ("data cut", "data_prep.cut", "Cut long recordings with their text into clips."),
        ("data align", "data_prep.alignment.align", "Find when each word is said."),
        (
            "data records",
            "data_prep.records",
            "Join SIFT files (the released ones too) with audio into records.",
        ),
        ("data units", "data_prep.units", "Add the speech tokens of a codec to records."),
        ("data subset", "data_prep.subset", "Take a share of the utterances of SIFT files."),
        ("data add-forms", "data_prep.add_forms", "Ask for forms in a share of the training rows."),
        (
            "data convert",
            "data_prep.convert",
            "Convert SIFT files to ms-swift or LLaMA-Factory, and back.",
        ),
        (
            "data open-asqa",
            "data_prep.open_asqa",
            "Turn OpenASQA, the training data of LTU-AS, into SIFT files.",
        ),
        ("data tfrecord", "data_prep.tfrecord", "Write records as TFRecord for tfds.load."),
        ("data synthesis", "data_prep.synthesis", "Make spoken question answering from text."),
        ("data join", "data_prep.synthesis.join", "Join several sets of SIFT files as one."),
        (
            "data synthesis-small",
            "data_prep.synthesis.small",
            "Make the data of the small synthesis experiments.",
        ),
        (
            "data synthesis-full",
            "data_prep.synthesis.full",
            "Make the data of the full-size synthesis experiments.",
        ),
    ),
    "Check and describe data": (
        ("data report", "data_prep.report", "Write a dataset's card and a page to listen to."),
        ("data validate", "data_prep.validate", "Name what is wrong in SIFT files, by line."),
        ("data check-splits", "data_prep.check_splits", "Prove that the splits of a build differ."),
        ("data check-truth", "data_prep.check_truth", "Measure the share of untrue rows."),
    ),
    "Train": (
        ("preview", "sift_jax.preview", "Show what a run would read as a page to listen to."),
        ("train", "sift_jax.train", "Train a stage, or resume it."),
        ("replay", "sift_jax.replay", "Show the batch of a past step of a run as a page."),
        ("reward", "sift_jax.reward", "Train LoRA by rewards of the model's own answers (GRPO)."),
        ("make-pairs", "sift_jax.make_pairs", "Make pairs of a model's own answers, for DPO."),
        ("sweep", "sift_jax.sweep", "Train and evaluate several runs, and compare them."),
        ("units", "sift_jax.units", "Fit a speech codec; encode speech, decode it."),
        ("train-vocoder", "sift_jax.train_vocoder", "Train a vocoder for a codec."),
        (
            "import-weights",
            "sift_jax.import_weights",
            "Convert GGUF, CTranslate2 or OpenAI weights to a folder.",
        ),
    ),
    "Use a model": (
        ("ask", "sift_jax.ask", "Ask a model a question about recordings."),
        ("chat", "sift_jax.ask", "Talk with a model about recordings."),
        ("speak", "sift_jax.speak", "Have a model speak, or answer by voice."),
        ("serve", "sift_jax.serve", "Serve models to OpenAI's clients."),
        ("export", "sift_jax.export", "Write a checkpoint as safetensors for other programs."),
        ("pack", "sift_jax.pack", "Write a checkpoint as the one that travels with the package."),
    ),
    "Evaluate": (
        ("evaluate", "sift_jax.evaluate", "Evaluate a model on a suite, with a report."),
        ("judge", "sift_jax.judge", "Judge the answers of an evaluation again."),
        ("compare", "sift_jax.compare", "Compare evaluations side by side."),
        ("evalsift", "data_prep.evalsift", "Run all of EvalSIFT: questions and speech."),
        ("human-eval", "sift_jax.human_eval", "Make a page for raters, and read their files."),
        ("generation", "data_prep.generation", "Evaluate controllable speech generation."),
    ),
}
_ARGUMENTS = {"chat": ("--chat",)}

COMMANDS = tuple(
    Command(
        name=name,
        module=module,
        summary=summary,
        group=group,
        arguments=_ARGUMENTS.get(name, ()),
    )
    for group, rows in _TABLE.items()
    for name, module, summary in rows
)


def find_command(words: Sequence[str]) -> tuple[Command | None, list[str]]:
    """The command that the words begin with, and what is behind its name; an underscore is as good
    as a hyphen."""
    spelt = [word.replace("_", "-") for word in words]
    for command in COMMANDS:
        name = command.name.split()
        if spelt[: len(name)] == name:
            return command, list(words[len(name) :])
    return None, list(words)


def load(command: Command) -> types.ModuleType:
    """Its module; of a package the part that runs."""
    module = importlib.import_module(command.module)
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{command.module}.__main__")
    return module


def make_parser(command: Command) -> Parser:
    """Its flags, as `sift-jax` calls it."""
    with call_as(command.program):
        parser: Parser = load(command).make_parser()
    return parser
