"""README.md of a dataset, as the hub reads it: YAML for programs, then words and tables for people.

    ---
    language: [en, de]        configs: a category each, its data_files by split       dataset_info: the columns
    ---
    # mls …: rows by category beside the paper's, utterances and hours, how to load, what was set
    aside, licences

`datasets.load_dataset("<folder>", "open_ended", split="train")` finds the files by it.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from data_prep.corpora.splits import DEV, SPLITS
from data_prep.describe.paper import PAPER_ROWS
from data_prep.instructions.claims import describe_claims
from data_prep.released.sift_paths import name_corpus
from sift_jax.pages.markup import escape_markdown
from sift_jax.sift.labels import LANGUAGE_NAMES

# Of the recordings; the name is that in data_source.
_LICENCES = {
    "multilingual_librispeech": ("Multilingual LibriSpeech", "CC BY 4.0"),
    "common_voice": ("Common Voice", "CC0 1.0; nobody may try to identify the speakers"),
    "vctk": ("VCTK 0.92", "CC BY 4.0"),
    "librispeech": ("LibriSpeech", "CC BY 4.0"),
    "voxpopuli": ("VoxPopuli", "CC0 1.0"),
    "fleurs": ("FLEURS", "CC BY 4.0"),
    "embedded": ("the embedded corpus", "synthesized for this dataset; nobody's voice"),
}
_SIZES = (
    ("n<1K", 1_000),
    ("1K<n<10K", 10_000),
    ("10K<n<100K", 100_000),
    ("100K<n<1M", 1_000_000),
    ("1M<n<10M", 10_000_000),
    ("10M<n<100M", 100_000_000),
)
_TASKS = ("question-answering", "audio-classification", "text-to-speech")
# The hub has names of its own for splits.
_HUB_SPLITS = {DEV: "validation"}
_FEATURES = """  features:
  - name: id
    dtype: string
  - name: messages
    list:
    - name: role
      dtype: string
    - name: content
      list:
      - name: audio_path
        dtype: string
      - name: text
        dtype: string
  - name: task
    dtype: string
  - name: data_source
    dtype: string
"""
_COLUMNS = """| column | what it is |
| --- | --- |
| `id` | the utterance; up to ten rows share one; `comparison_<id1>__<id2>` for two |
| `messages` | `role` and `content`, a list of parts: `text`, or `audio_path` with the placeholder `/path/to/<id>.wav` |
| `task` | the first part of the category |
| `data_source` | the corpus and its language |
"""


def make_card(
    name: str,
    report: Mapping[str, Any],
    *,
    sift: str = "sift",
    folders: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """`report` is report.json, with `sources`; `sift` is where the rows lie, seen from the card,
    and `folders` what a split is called there, if not by its name."""
    counts = report["counts"]
    languages = sorted(
        {language for by in counts.values() for rows in by.values() for language in rows},
        key=lambda language: (list(LANGUAGE_NAMES) + [language]).index(language),
    )
    corpora = sorted(
        {
            name_corpus(source)
            for by in report["sources"].values()
            for rows in by.values()
            for source in rows
        }
    )
    parts = [
        _make_front(name, counts, languages, sift, folders),
        f"# {escape_markdown(name)}\n",
        _make_lead(report, languages, corpora),
        "## Rows\n",
        _make_rows(counts),
        "## Columns\n",
        _COLUMNS,
        "## To load it\n",
        _make_loading(counts, sift),
        _make_utterances(report),
        _make_claims(report.get("claims")),
        _make_rejections(report),
        "## Licences\n",
        _make_licences(corpora),
    ]
    return "\n".join(part for part in parts if part)


def _make_front(
    name: str,
    counts: Mapping[str, Any],
    languages: Sequence[str],
    sift: str,
    folders: Mapping[str, Sequence[str]],
) -> str:
    total = sum(count for by in counts.values() for rows in by.values() for count in rows.values())
    size = next((label for label, limit in _SIZES if total < limit), "100M<n<1B")
    configs, infos = "", ""
    # What has no rows cannot be loaded.
    filled = {
        split: {category for category, rows in by.items() if any(rows.values())}
        for split, by in counts.items()
    }
    for category in dict.fromkeys(category for by in counts.values() for category in by):
        splits = [split for split in SPLITS if category in filled.get(split, ())]
        if not splits:
            continue
        config = category.replace("/", "_")
        configs += f"- config_name: {json.dumps(config)}\n  data_files:\n"
        for split in splits:
            paths = [
                f"{sift}/{folder}/{category}/*/split*.jsonl"
                for folder in folders.get(split, (split,))
            ]
            configs += f"  - split: {_HUB_SPLITS.get(split, split)}\n    path: "
            configs += f"{paths[0]}\n" if len(paths) == 1 else f"[{', '.join(paths)}]\n"
        infos += f"- config_name: {json.dumps(config)}\n{_FEATURES}"
    lines = [
        "---",
        f"pretty_name: {json.dumps(name)}",
        "language:",
        *(f"- {json.dumps(language)}" for language in languages),
        "license: other",
        "license_name: see-below",
        "task_categories:",
        *(f"- {task}" for task in _TASKS),
        "tags:",
        "- speech",
        "- instruction-tuning",
        "size_categories:",
        f"- {size}",
    ]
    return "\n".join(lines) + f"\nconfigs:\n{configs}dataset_info:\n{infos}---\n"


def _make_lead(report: Mapping[str, Any], languages: Sequence[str], corpora: Sequence[str]) -> str:
    names = [escape_markdown(LANGUAGE_NAMES.get(language, language)) for language in languages]
    hours = sum(found["hours"] for found in report.get("durations", {}).values())
    total = sum(
        count for by in report["counts"].values() for rows in by.values() for count in rows.values()
    )
    titles = [escape_markdown(_LICENCES.get(corpus, (corpus, ""))[0]) for corpus in corpora]
    heard = f", about {hours:,.1f} hours of recordings" if hours else ""
    return (
        f"{total:,} questions and answers about speech{heard}: what is said, and how. In "
        f"{_list(names)}; from {_list(titles)}.\nRows name their recordings, and do not hold "
        "them. The layout is that of SIFT-50M (arXiv 2504.09081).\n"
    )


def _make_rows(counts: Mapping[str, Any]) -> str:
    """Rows of each category and split, and the paper's beside them."""
    splits = [split for split in SPLITS if split in counts]
    head = [f"{split} | in SIFT-50M" for split in splits]
    lines = [f"| category | {' | '.join(head)} |", f"| --- |{' ---: |' * 2 * len(splits)}"]
    for category in dict.fromkeys(
        [*PAPER_ROWS, *(category for by in counts.values() for category in by)]
    ):
        cells = []
        for split in splits:
            paper = PAPER_ROWS.get(category, {}).get(split)
            cells += [
                f"{sum(counts[split].get(category, {}).values()):,}",
                f"{paper:,}" if paper else "–",
            ]
        lines.append(f"| {category} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _make_loading(counts: Mapping[str, Any], sift: str) -> str:
    split, category = next(
        (
            (split, category)
            for split, by in counts.items()
            for category, rows in by.items()
            if any(rows.values())
        ),
        ("train", "open_ended"),
    )
    return (
        '```python\nimport datasets\n\nrows = datasets.load_dataset("<this folder>", '
        f'"{category.replace("/", "_")}", split="{_HUB_SPLITS.get(split, split)}")\n```\n\n'
        f"    python -m data_prep.validate --sift={sift}\n"
        f"    python -m data_prep.records --sift={sift} --audio=<recordings> --out=records\n\n"
        "Of the two keys of a part one is null where it is loaded so.\n"
    )


def _make_utterances(report: Mapping[str, Any]) -> str:
    if not report.get("utterances"):
        return ""
    lines = [
        "## Utterances\n",
        "| split | speakers | sentences | utterances |",
        "| --- | ---: | ---: | --- |",
    ]
    for split, spoken in report["utterances"].items():
        each = ", ".join(f"{language} {count:,}" for language, count in spoken.items())
        lines.append(
            f"| {split} | {len(report['speakers'][split]):,} | {report['sentences'][split]:,} "
            f"| {each} |"
        )
    hours = ", ".join(
        f"{language} {found['hours']:,.2f} h" for language, found in report["durations"].items()
    )
    return "\n".join([*lines, "", f"{hours}. {_describe_apartness(report.get('splits'))}\n"])


def _describe_apartness(splits: Mapping[str, Any] | None) -> str:
    """Whether a speaker or a sentence of one split is in another, as far as that is known."""
    if not splits or not (splits["speakers"] or splits["sentences"] or splits["without_speaker"]):
        return "No speaker and no sentence of one split is in another."
    speakers, sentences = len(splits["speakers"]), splits["sentences"]
    unknown = f" Of {splits['without_speaker']:,} recordings nobody knows who speaks." * bool(
        splits["without_speaker"]
    )
    return (
        f"{speakers or 'No'} known speakers and {sentences or 'no'} sentences of one split are in "
        f"another.{unknown}"
    )


def _make_claims(claims: Mapping[str, Any] | None) -> str:
    """What a class means here."""
    if not claims:
        return ""
    return f"## What the labels mean\n\n{describe_claims(claims['kind'])}\n"


def _make_rejections(report: Mapping[str, Any]) -> str:
    accounts = report.get("accounts")
    if not accounts:
        return ""
    lines = [
        "## What was skipped\n",
        "| stage | in | out | skipped |",
        "| --- | ---: | ---: | --- |",
    ]
    for stage, account in accounts.items():
        rejected = account["rejected"].items()
        reasons = (
            ", ".join(f"{escape_markdown(reason)} {count:,}" for reason, count in rejected)
            or "nothing"
        )
        unit = f"{escape_markdown(stage)}, {account['unit']}"
        lines.append(f"| {unit} | {account['in']:,} | {account['out']:,} | {reasons} |")
    return "\n".join(
        [
            *lines,
            "",
            "Each is in `rejected.jsonl` with its reason; `report.html` has more figures.\n",
        ]
    )


def _make_licences(corpora: Sequence[str]) -> str:
    lines = ["The rows quote transcripts, and so come under the terms of the recordings:\n"]
    for corpus in corpora:
        title, licence = _LICENCES.get(corpus, (corpus, "the terms of its owner"))
        lines.append(f"* {escape_markdown(title)}: {licence}")
    return "\n".join(
        [
            *lines,
            "",
            "Rows of the released SIFT-50M are under CDLA-Sharing-1.0. What a language model "
            "wrote is under the terms of that model.\n",
        ]
    )


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "nothing"
