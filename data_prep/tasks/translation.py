"""Speech and its translation, as text or spoken, of four corpora.

    CoVoST 2    covost_v2.de_en.{train,dev,test}.tsv            path ⇥ sentence ⇥ translation ⇥ client_id
                {de,cv-corpus-4-…/de}/clips/common_voice_de_1.mp3                      Common Voice, of release 4
    CVSS        {cvss_c_de_en_v1.0,de-en}/{train,dev,test}.tsv                         file ⇥ translation, no header
                {cvss_c_de_en_v1.0,de-en}/train/common_voice_de_1.mp3.wav              the same, spoken in English
    FLEURS      one sentence has one number in all languages
    VoxPopuli   transcribed_data/de/en/s2s_ref.tsv     src_id ⇥ src_text ⇥ src_speaker_id ⇥ tgt_id ⇥ tgt_text
                transcribed_data/de/2018/<src_id>.ogg  transcribed_data/de/en/2018/<tgt_id>.ogg        the interpreter

--languages are those that are spoken; the translations are into any of the five that are there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_prep.corpora.fleurs import find_language, make_id, read_fleurs
from data_prep.corpora.recording import (
    PARTS,
    CorpusError,
    Recording,
    check_id,
    clean_transcript,
    find_folder,
    locate_audio,
    read_items,
    read_table,
)
from data_prep.engine.ledger import Rejection
from data_prep.tasks.example import Example, Found
from sift_jax.corpora.bad_item import BadItem
from sift_jax.corpora.covost2 import list_folders, name_clip, unescape
from sift_jax.corpora.fleurs import parse_row
from sift_jax.sift.labels import LANGUAGES

_COVOST_COLUMNS = ("path", "sentence", "translation", "client_id")
_S2S_COLUMNS = ("src_id", "src_text", "src_speaker_id", "tgt_id")
_UNKNOWN = {"", "None", "none", "nan"}


def read_covost(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    """All pairs that are there of the languages spoken."""
    found: dict[tuple[str, str, str], Path] = {}
    for language in languages:
        for path in (
            path
            for folder in list_folders(root, language)
            for path in sorted((root / folder).glob(f"covost_v2.{language}_*.tsv"))
        ):
            named = re.fullmatch(r"covost_v2\.[a-z]+_([a-z]+)\.(train|dev|test)\.tsv", path.name)
            if named and named[1] in LANGUAGES:
                found.setdefault((language, named[1], named[2]), path)
    if not found:
        raise CorpusError(
            f"no covost_v2.<from>_<to>.train.tsv, dev or test under {root} for "
            f"{', '.join(languages)}; write them with get_covost_splits.py of CoVoST 2, or change "
            "--root or --languages"
        )
    for (language, target, part), path in found.items():
        yield from _read_covost_file(
            path, _find_clips(root, language), language, target, PARTS[part]
        )


def _find_clips(root: Path, language: str) -> Path:
    places = [f"{folder}clips" for folder in list_folders(root, language)]
    return find_folder(root, places, f"Common Voice's clips in {language}")


def _read_covost_file(
    path: Path, clips: Path, language: str, target: str, held: str
) -> Iterator[Found]:
    def parse(row: Mapping[str, str]) -> Example:
        name, sentence = name_clip(row["path"]), unescape(row["sentence"])
        recording = _make_clip(name, clips, language, held, sentence, row["client_id"])
        return Example(
            recording=recording,
            target=target,
            translation=clean_transcript(unescape(row["translation"]), recording.id),
        )

    return read_table(path, _COVOST_COLUMNS, parse)


def _make_clip(
    name: str, clips: Path, language: str, held: str, sentence: str, speaker: str | None
) -> Recording:
    identity = check_id(name.removesuffix(".mp3"))
    return Recording(
        id=identity,
        language=language,
        held=held,
        speaker=speaker or None,
        audio=locate_audio(clips, name, identity),
        transcript=clean_transcript(sentence, identity),
    )


def read_cvss_text(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    """Clips and the translation as it was read out: without punctuation, numbers in words."""
    return _read_cvss(root, languages, is_spoken=False)


def read_cvss_speech(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    return _read_cvss(root, languages, is_spoken=True)


def _read_cvss(root: Path, languages: Sequence[str], *, is_spoken: bool) -> Iterator[Found]:
    """Its sentences are in English; those spoken are in Common Voice, whose clips lie beside."""
    for language in (language for language in languages if language != "en"):
        names = [f"cvss_{kind}_{language}_en_v1.0" for kind in ("c", "t")]
        names += [
            f"{language}-en",
            f"cvss-c/{language}-en",
            f"cvss/cvss-c/{language}-en",
            f"{language}_en",
        ]
        folder, clips = (
            find_folder(root, names, f"CVSS from {language}"),
            _find_clips(root, language),
        )
        parts = [part for part in PARTS if (folder / f"{part}.tsv").is_file()]
        if not parts:
            raise CorpusError(
                f"{folder}: no train.tsv, dev.tsv or test.tsv; unpack the corpus again"
            )
        for part in parts:
            yield from _read_cvss_part(folder, part, clips, language, is_spoken=is_spoken)


def _read_cvss_part(
    folder: Path, part: str, clips: Path, language: str, *, is_spoken: bool
) -> Iterator[Found]:
    def parse(line: str) -> Example:
        name, tab, text = line.partition("\t")
        if not tab:
            raise BadItem("broken line", "not <clip>.mp3, tab, translation")
        text = clean_transcript(text, name)
        # What was said is not in this corpus, and is not asked for.
        clip = Recording(
            id=check_id(name.removesuffix(".mp3")),
            language=language,
            held=PARTS[part],
            audio=locate_audio(clips, name, name),
            transcript="",
        )
        if not is_spoken:
            return Example(recording=clip, target="en", translation=text)
        spoken = Recording(
            id=check_id(f"cvss_{clip.id}"),
            language="en",
            held=PARTS[part],
            transcript=text,
            audio=locate_audio(folder / part, f"{name}.wav", name),
        )
        return Example(recording=clip, target="en", translation=text, speech=spoken)

    return read_items(folder / f"{part}.tsv", parse)


def read_fleurs_pairs(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    """Each recording with the sentence in every other language that is there."""
    texts = {
        language: found for language in LANGUAGES if (found := _read_fleurs_texts(root, language))
    }
    if len(texts) < 2:
        raise CorpusError(
            f"FLEURS in {' and '.join(texts) or 'no language'} under {root}: a translation needs "
            "two; unpack another language beside it"
        )
    for language in languages:
        for item in read_fleurs(root, [language]):
            if isinstance(item, Rejection):
                yield item
                continue
            number = texts[language][1][item.id]
            targets = [
                (target, found[0][number])
                for target, found in texts.items()
                if target != language and number in found[0]
            ]
            for target, text in targets:
                yield Example(recording=item, target=target, translation=text)
            if not targets:
                yield Rejection(
                    reason="not translated", id=item.id, language=language, file=item.audio
                )


def _read_fleurs_texts(root: Path, language: str) -> tuple[dict[str, str], dict[str, str]] | None:
    """Number of a sentence to its text, and id of a recording to that number; what is wrong the
    reader will tell."""
    try:
        folder = find_language(root, language)
    except CorpusError:
        return None
    texts, numbers = {}, {}
    for part in PARTS:
        path = folder / f"{part}.tsv"
        for line in (
            path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ()
        ):
            try:
                row = parse_row(line)
                number = f"{part}/{row.sentence}"
                texts[number] = clean_transcript(row.raw_text)
                numbers[make_id(language, row.file)] = number
            except BadItem:
                continue
    return texts, numbers


def read_voxpopuli_text(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    """Speeches, and what was written down of their interpreters."""
    return _read_voxpopuli(root, languages, "s2s_ref.tsv", is_spoken=False)


def read_voxpopuli_speech(root: Path, languages: Sequence[str]) -> Iterator[Found]:
    return _read_voxpopuli(root, languages, "s2s.tsv", is_spoken=True)


def _read_voxpopuli(
    root: Path, languages: Sequence[str], name: str, *, is_spoken: bool
) -> Iterator[Found]:
    for language in languages:
        folder = find_folder(
            root, [f"transcribed_data/{language}", language], f"VoxPopuli in {language}"
        )
        paths = {
            target: folder / target / name
            for target in LANGUAGES
            if (folder / target / name).is_file()
        }
        if not paths:
            raise CorpusError(
                f"{folder}: no <language>/{name}; run get_s2s_data of VoxPopuli"
                f"{'' if is_spoken else ' with --use-annotated-target'} for a target language"
            )
        splits = _read_voxpopuli_splits(folder)
        for target, path in paths.items():
            yield from _read_pairs(path, language, target, splits, is_spoken=is_spoken)


def _read_voxpopuli_splits(folder: Path) -> dict[str, str]:
    """Id to split: the pairs do not tell, the lists of transcribed speech do."""
    splits = {}
    for part, held in PARTS.items():
        path = folder / f"asr_{part}.tsv"
        for line in (
            path.read_text(encoding="utf-8", errors="replace").split("\n")[1:]
            if path.is_file()
            else ()
        ):
            splits[line.split("\t", 1)[0]] = held
    return splits


def _read_pairs(
    path: Path, language: str, target: str, splits: Mapping[str, str], *, is_spoken: bool
) -> Iterator[Found]:
    def locate(folder: Path, identity: str) -> str:
        return locate_audio(
            folder, [f"{identity[:4]}/{identity}.{suffix}" for suffix in ("ogg", "wav")], identity
        )

    def parse(row: Mapping[str, str]) -> Example:
        source = check_id(row["src_id"])
        held = splits.get(source)
        if held is None:
            raise BadItem(
                "in no split", "not in asr_train.tsv, asr_dev.tsv or asr_test.tsv", source
            )
        text = row.get("tgt_text", "")
        recording = Recording(
            id=check_id(f"voxpopuli_{language}_{source}"),
            language=language,
            held=held,
            speaker=None if row["src_speaker_id"] in _UNKNOWN else row["src_speaker_id"],
            audio=locate(path.parent.parent, source),
            transcript=row["src_text"],
        )
        if not is_spoken:
            return Example(
                recording=recording, target=target, translation=clean_transcript(text, source)
            )
        spoken = check_id(row["tgt_id"])
        speech = Recording(
            id=check_id(f"voxpopuli_{target}_{spoken}"),
            language=target,
            held=held,
            transcript=text,
            audio=locate(path.parent, spoken),
        )
        return Example(recording=recording, target=target, speech=speech)

    return read_table(path, (*_S2S_COLUMNS, *(() if is_spoken else ("tgt_text",))), parse)
