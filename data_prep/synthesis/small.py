"""The small form of the data experiments: one corpus of a small world, and a set of training data
for each arm.

    python -m data_prep.synthesis.small --out=runs/salm_sweep/data [--heard=240 --written=240
    --transcribed=500
        --tested=80] [--language=en] [--rates=5,10,15,20,30] [--carelessness=0.3] [--no_asr]

    out/audio/<xx>/<id>.flac            sentences spoken by the embedded synthesizer, held-out voices for dev and tests
    out/sets/<arm>/sift/                recognition of the transcribed corpus, and the arm's questions
        recognition                     none: what every arm starts from
        llm  llm_wer05 … llm_wer30      written from the transcripts of the untranscribed corpus, right or so wrong
        llm_asr                         from what pocketsphinx hears in it
        careless  filtered              by a writer who makes up --carelessness of the answers; what the grader leaves
        tts                             passages of a text, spoken, with the questions that came with them
        both                            llm and tts
    out/sets/<arm>/records/  out/tokenizer/             what training reads
    out/tests/{speech_msmarco,spokenqa_ls}/     as the suite spoken_qa reads them: passages, and true transcripts
    out/report.json                     rows and word error rates of each arm

The transcribed corpus is the stand-in of LibriSpeech, the untranscribed one of what the second and
third way ask about; who writes and grades are rules (`small_world`), where the large form has a
language model.
"""

import argparse
import dataclasses
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_prep.corpora.splits import DEV, EVALUATION, TRAIN, normalise_sentence
from data_prep.instructions.rows import lay_out_row
from data_prep.records import join_release
from data_prep.synthesis.corruption import Corrupted, corrupt, measure_errors
from data_prep.synthesis.small_recogniser import hear_all
from data_prep.synthesis.small_world import (
    HEARD,
    WORLDS,
    WRITTEN,
    is_supported,
    make_sentences,
    write_pairs,
)
from data_prep.synthesis.speak_passages import Reading as Speech
from data_prep.synthesis.speak_passages import draw_number, speak_passage
from data_prep.synthesis.triples import Triple, make_row
from data_prep.synthesis.tts.embedded_engine import EmbeddedEngine
from data_prep.synthesis.tts.engine import RATE
from data_prep.tasks.decode import place_audio
from data_prep.tokenizer import read_texts
from sift_jax.audio.files import AudioError, write_audio
from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.sift.rows import Row, write_rows
from sift_jax.storage.whole_files import write_whole

# One window of the encoder holds any of them: one shape, compiled once.
LONGEST_SECONDS = 4.0
TOKENS = 400


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spoken:
    """One recording."""

    id: str
    form: str
    split: str
    text: str


def gather(sizes: Mapping[str, int], seed: int, language: str) -> dict[str, list[Spoken]]:
    """The recordings by corpus: transcribed (both forms), heard, written."""
    corpora: dict[str, list[Spoken]] = {"transcribed": [], HEARD: [], WRITTEN: []}
    for form in (HEARD, WRITTEN):
        counts = {
            "transcribed": sizes["transcribed"] // 2,
            form: sizes[form],
            EVALUATION: sizes["tested"],
            DEV: 24,
        }
        texts = iter(make_sentences(sum(counts.values()), form, seed, WORLDS[language]))
        for name, count in counts.items():
            split = name if name in (EVALUATION, DEV) else TRAIN
            corpus = form if name in (EVALUATION, DEV) else name
            for number in range(count):
                identity = f"{corpus}_{form}_{split.lower()}_{number:05d}"
                corpora[corpus].append(
                    Spoken(id=identity, form=form, split=split, text=next(texts).text)
                )
    return corpora


def say_all(recordings: Iterable[Spoken], out: Path, seed: int, language: str) -> set[str]:
    """Speaks what is not there yet; returns the ids of those that take too long to say."""
    engine = EmbeddedEngine()
    voices = {split: engine.list_voices(language, split) for split in (TRAIN, DEV, EVALUATION)}
    speech = Speech(
        corpus="squad",
        files=(),
        language=language,
        split=None,
        sizes={},
        max_seconds=LONGEST_SECONDS,
        longest_sentence=300,
        seed=seed,
    )
    long = set()
    for one in recordings:
        path = place_audio(out / "audio", one.id)
        if path.is_file():
            continue
        draw = draw_number(seed, one.id)
        voice = voices[one.split][draw % len(voices[one.split])]
        try:
            wave, _ = speak_passage(one.text, voice, language, engine, draw, speech)
        except AudioError:
            long.add(one.id)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, wave, rate=RATE)
    return long


def write_triples(
    recordings: Sequence[Spoken],
    texts: Mapping[str, str],
    source: str,
    language: str,
    *,
    carelessness: float,
    seed: int,
) -> list[Triple]:
    """The questions that a writer makes of these transcripts."""
    triples = []
    for one in recordings:
        rng = random.Random(f"{seed}/{one.id}")
        for pair in write_pairs(
            texts[one.id], one.form, rng, WORLDS[language], carelessness=carelessness
        ):
            triples.append(
                Triple(
                    id=one.id,
                    key=f"{one.id}/{pair.asked}",
                    language=language,
                    split=one.split,
                    question=pair.question,
                    answer=pair.answer,
                    references=(pair.answer,),
                    transcript=texts[one.id],
                    source=source,
                )
            )
    return triples


def make_recognition(recordings: Iterable[Spoken], language: str) -> list[tuple[str, Row]]:
    return [
        (
            one.split,
            lay_out_row(
                (one.id,),
                "pretraining/asr",
                WORLDS[language].transcribe,
                one.text,
                draw=one.id,
                first_share=1.0,
                data_source=f"transcribed_{language}",
            ),
        )
        for one in recordings
    ]


def make_arms(
    corpora: Mapping[str, list[Spoken]],
    out: Path,
    language: str,
    *,
    rates: Sequence[int],
    carelessness: float,
    has_asr: bool,
    seed: int,
) -> tuple[dict[str, list[Triple]], dict[str, float]]:
    """The questions of each arm, and the word error rates of the transcripts behind them."""
    heard, written = corpora[HEARD], corpora[WRITTEN]
    right = {one.id: normalise_sentence(one.text) for one in (*heard, *written)}
    # what is tested is always asked of what was said
    wrong = [one for one in heard if one.split != EVALUATION]
    said = {one.id: right[one.id] for one in wrong}
    measured: dict[str, Corrupted] = {
        f"llm_wer{rate:02d}": corrupt(said, rate / 100, seed) for rate in rates
    }
    if has_asr:
        measured["llm_asr"] = measure_errors(
            said,
            {
                name: normalise_sentence(text)
                for name, text in hear_all((one.id for one in wrong), out, language).items()
            },
        )

    def ask(texts: Mapping[str, str], carelessness: float = 0.0) -> list[Triple]:
        return write_triples(
            heard,
            {**right, **texts},
            "spokenqa_ls",
            language,
            carelessness=carelessness,
            seed=seed,
        )

    tts = write_triples(written, right, "speech_msmarco", language, carelessness=0.0, seed=seed)
    arms = {"recognition": [], "llm": ask({}), "tts": tts, "careless": ask({}, carelessness)}
    arms["both"] = [*arms["llm"], *tts]
    arms["filtered"] = [
        triple
        for triple in arms["careless"]
        if is_supported(triple.answer, triple.transcript, WORLDS[language])
    ]
    arms |= {name: ask(found.texts) for name, found in measured.items()}
    return arms, {"llm": 0.0, **{name: round(found.rate, 4) for name, found in measured.items()}}


def write_rows_of(
    folder: Path, rows: Iterable[tuple[str, Row]], category: str, language: str
) -> int:
    by_split: dict[str, list[Row]] = {}
    for split, row in rows:
        by_split.setdefault(split, []).append(row)
    return sum(
        write_rows(folder / split / category / language / "split0.jsonl", found)
        for split, found in by_split.items()
    )


def build(flags: argparse.Namespace) -> None:
    out, language = flags.out, flags.language
    if language != "en" and not flags.no_asr:
        raise ValueError(
            f"pocketsphinx hears English alone, and --language is {language}; give --no_asr"
        )
    settings = {name: str(value) for name, value in vars(flags).items() if name != "out"}
    mark = out / "report.json"
    if mark.is_file():
        if json.loads(mark.read_text(encoding="utf-8"))["settings"] == settings:
            print(f"{out} is made already: kept")
            return
        raise ValueError(
            f"--out={out} was made with other flags; choose another folder, or remove it"
        )
    sizes = {
        "transcribed": flags.transcribed,
        HEARD: flags.heard,
        WRITTEN: flags.written,
        "tested": flags.tested,
    }
    corpora = gather(sizes, flags.seed, language)
    long = say_all(
        (one for corpus in corpora.values() for one in corpus), out, flags.seed, language
    )
    corpora = {
        name: [one for one in corpus if one.id not in long] for name, corpus in corpora.items()
    }
    rates = [int(rate) for rate in flags.rates.split(",") if rate]
    arms, errors = make_arms(
        corpora,
        out,
        language,
        rates=rates,
        carelessness=flags.carelessness,
        has_asr=not flags.no_asr,
        seed=flags.seed,
    )
    recognition = make_recognition(
        [
            *corpora["transcribed"],
            *(one for form in (HEARD, WRITTEN) for one in corpora[form] if one.split == DEV),
        ],
        language,
    )
    counts = {}
    for name, triples in arms.items():
        folder = out / "sets" / name / "sift"
        write_rows_of(folder, recognition, "pretraining/asr", language)
        counts[name] = write_rows_of(
            folder,
            ((triple.split, make_row(triple)) for triple in triples if triple.split != EVALUATION),
            "open_ended",
            language,
        )
    for name, source in (("spokenqa_ls", "llm"), ("speech_msmarco", "tts")):
        tested = [triple for triple in arms[source] if triple.split == EVALUATION]
        folder = out / "tests" / name
        rows = ((triple.split, make_row(triple)) for triple in tested)
        write_rows_of(folder, rows, "open_ended", language)
        (folder / "audio").unlink(missing_ok=True)
        (folder / "audio").symlink_to((out / "audio").resolve())
    if not (out / "tokenizer" / "tokenizer.json").is_file():
        from sift_jax.text.tokenizers import train_tokenizer

        train_tokenizer(read_texts(out / "sets" / "both" / "sift"), TOKENS, out / "tokenizer")
    for name in arms:
        folder = out / "sets" / name
        join_release(folder / "sift", [str(out / "audio")], folder / "records", [language])
    write_whole(
        mark,
        json.dumps(
            {
                "settings": settings,
                "set_aside": {"too long to say": len(long)},
                "questions": counts,
                "word_error_rates": errors,
            },
            indent=1,
        ),
    )
    print(json.dumps({"set_aside": len(long), "questions": counts, "word_error_rates": errors}))


def make_parser() -> Parser:
    """How large, how wrong, and where it goes."""
    parser = Parser(
        "data_prep.synthesis.small",
        description="Makes the data of the small synthesis experiments, a set for each arm.",
        examples=("--out=runs/salm_sweep/data", "--out=/tmp/tiny --transcribed=40 --no_asr"),
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for everything that is made"
    )
    for name, size, what in (
        ("transcribed", 500, "sentences of the transcribed corpus"),
        (HEARD, 240, "sentences of the untranscribed one"),
        (WRITTEN, 240, "passages of the text"),
        ("tested", 80, "recordings of each test set"),
    ):
        parser.add_argument(f"--{name}", type=int, default=size, help=what)
    parser.add_argument(
        "--rates", default="5,10,15,20,30", help="word error rates in percent, comma-separated"
    )
    parser.add_argument(
        "--carelessness", type=float, default=0.3, help="share of answers that a writer makes up"
    )
    parser.add_argument("--no_asr", action="store_true", help="leave out what pocketsphinx hears")
    parser.add_argument(
        "--language", default="en", choices=sorted(WORLDS), help="what is spoken and asked"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes it all."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: build(flags), is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
