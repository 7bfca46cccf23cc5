"""The third way: recordings that nobody has written down, written down by a recogniser.

    corpus ─ gather ─ decode ─►  audio/<xx>/<id>.flac ─ recogniser ─ guards ─►  parts/heard_…/ ─►  metadata.jsonl
                                                                        └─►  rejected.jsonl, with the words of it

What the corpus itself knows of the words is never shown to anybody: it stands beside, as
`reference`, and says how many of the words are wrong. Questions are written by `ask --corpus=build
--root=<this folder>`.
"""

import concurrent.futures
import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from data_prep.corpora.recording import Recording
from data_prep.engine.beam_engine import Engine, run_chunks
from data_prep.engine.chunks import BuildError, Chunk
from data_prep.engine.ledger import Rejection, settle
from data_prep.llm.journal import Journal, make_key
from data_prep.recognition.hypothesis import Hypothesis
from data_prep.recognition.recognisers import Recogniser, Recognising, make_recogniser
from data_prep.synthesis.job_folder import hold_job, read_rejections, report_job, write_rejections
from data_prep.synthesis.speech_sources import SpeechSource
from data_prep.synthesis.transcript_checks import Limits, find_made_up
from data_prep.synthesis.write_questions import take_in
from data_prep.tasks.decode import place_audio
from data_prep.tasks.example import parse_example
from sift_jax.endpoints.client import CallError, Reply
from sift_jax.extras import import_extra
from sift_jax.storage.whole_files import open_whole

VERSION = "1"
_STAGES = ("read", "choose", "decode", "transcribe")


def transcribe(
    source: SpeechSource,
    recognising: Recognising,
    limits: Limits,
    out: Path,
    *,
    sizes: dict[str, int | None],
    seed: int,
    engine: Engine,
) -> None:
    """All of it; resumes where the same command was stopped."""
    settings = {
        "way": "transcribe",
        "version": VERSION,
        **source.settings,
        **recognising.identity,
        "sizes": sizes,
        "seed": seed,
        "source": source.source,
    }
    with hold_job(out, settings):
        chunks = take_in(source, out, sizes=sizes, seed=seed, engine=engine)
        # Of other limits the parts are made again, of what the journals know: nobody has to hear
        # anything again.
        kind = f"heard_{make_key(dataclasses.asdict(limits))[:8]}"
        work = functools.partial(
            transcribe_chunk, kind=kind, recognising=recognising, limits=limits
        )
        run_chunks(chunks, kind, work, engine)
        _finish(out, chunks, kind)


def transcribe_chunk(chunk: Chunk, *, kind: str, recognising: Recognising, limits: Limits) -> None:
    """Writes down the recordings of a chunk; what was heard before the run was stopped comes from
    the journal."""
    recordings = [parse_example(line).recording for line in chunk.read_lines("kept")]
    recogniser = make_recogniser(recognising, chunk.seed)
    with Journal(chunk.path("heard_calls")) as journal:
        work = functools.partial(
            _hear,
            chunk=chunk,
            recogniser=recogniser,
            journal=journal,
            limits=limits,
            identity=recognising.identity,
        )
        with concurrent.futures.ThreadPoolExecutor(recogniser.calls) as pool:
            try:
                found = list(pool.map(work, recordings))
            except BaseException:
                recogniser.stop()
                pool.shutdown(cancel_futures=True)
                raise
    write_rejections(
        chunk, f"{kind}_rejected", [item for item in found if isinstance(item, Rejection)]
    )
    # Last: it says that the chunk is done.
    chunk.write_lines(kind, [item for item in found if isinstance(item, str)])


def _hear(
    recording: Recording,
    *,
    chunk: Chunk,
    recogniser: Recogniser,
    journal: Journal,
    limits: Limits,
    identity: dict[str, Any],
) -> str | Rejection:
    path = place_audio(chunk.out / "audio", recording.id)
    key = make_key([identity, recording.id, recording.language])
    kept = journal.get(key)
    if kept is None:
        try:
            heard = recogniser.recognise(path, recording.language)
        except CallError as error:
            return Rejection(
                reason=f"no transcript: {error.reason}",
                detail=error.detail,
                id=recording.id,
                language=recording.language,
            )
        text = json.dumps(dataclasses.asdict(heard))
        kept = journal.add(
            key, Reply(text=text, finish="stop", prompt_tokens=None, completion_tokens=None)
        )
    heard = Hypothesis(**json.loads(kept.text))
    info = soundfile.info(path)
    seconds = info.frames / info.samplerate
    fault = find_made_up(heard, seconds, recording.language, limits)
    if fault is not None:
        return Rejection(
            reason=fault[0],
            id=recording.id,
            language=recording.language,
            detail=" ".join(
                filter(None, (fault[1], json.dumps(heard.text[:500], ensure_ascii=False)))
            ),
        )
    known = {
        name: getattr(recording, name)
        for name in ("id", "language", "speaker", "gender", "age_category", "accent")
    }
    return json.dumps(
        {
            **known,
            "split": chunk.split,
            "duration": round(seconds, 4),
            "transcript": heard.text,
            "confidence": heard.confidence,
            "reference": recording.transcript or None,
            "recogniser": identity["recogniser"],
        },
        ensure_ascii=False,
    )


def _finish(out: Path, chunks: Sequence[Chunk], kind: str) -> None:
    entered = sum(len(chunk.read_lines("kept")) for chunk in chunks)
    left, pairs = 0, []
    rows: dict[str, dict[str, Any]] = {}
    with open_whole(out / "metadata.jsonl") as joined:
        for chunk in chunks:
            for line in chunk.read_lines(kind):
                joined.write(line + "\n")
                row = json.loads(line)
                left += 1
                splits = rows.setdefault(row["language"], {})
                splits[row["split"]] = splits.get(row["split"], 0) + 1
                if row["reference"]:
                    pairs.append((row["language"], row["reference"], row["transcript"]))
    settle(
        out, "transcribe", "recordings", entered, left, read_rejections(chunks, f"{kind}_rejected")
    )
    if not left:
        raise BuildError(f"no transcript was kept; see {out}/parts/accounts for the reasons")
    errors = count_errors(pairs)
    report_job(out, _STAGES, {"transcripts": rows, "against_references": errors})
    if errors:
        print(
            f"word error rate {errors['wer']:.1%} over {errors['recordings']:,} recordings that "
            "the corpus has written down"
        )


def count_errors(pairs: Sequence[tuple[str, str, str]]) -> dict[str, Any] | None:
    """The word error rate of what was kept, where the corpus knows better: (language, reference,
    transcript) each.

    Both are written alike before: "10%" and "ten percent" are the same words.
    """
    if not pairs:
        return None
    jiwer = import_extra("jiwer", "eval")
    basic = import_extra("whisper_normalizer.basic", "eval")
    english = import_extra("whisper_normalizer.english", "eval").EnglishTextNormalizer()
    other = basic.BasicTextNormalizer()
    alike = [
        tuple((english if language == "en" else other)(text) for text in texts)
        for language, *texts in pairs
    ]
    alike = [pair for pair in alike if pair[0].strip()]
    if not alike:
        return None
    found = jiwer.process_words([pair[0] for pair in alike], [pair[1] for pair in alike])
    return {
        "recordings": len(alike),
        "wer": round(found.wer, 4),
        "substitutions": found.substitutions,
        "deletions": found.deletions,
        "insertions": found.insertions,
    }
