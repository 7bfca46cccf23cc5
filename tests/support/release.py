"""A release at small scale: rows as the hub gives them, and the three corpora in their layouts."""

import json
from pathlib import Path

import numpy as np
import soundfile

TEXTS = {
    "en": ("How fast does the speaker talk?", "She talks very slowly."),
    "de": ("Wie schnell spricht die Person?", "Sie spricht sehr langsam und ist gut zu verstehen."),
    "fr": (
        "À quelle vitesse parle la personne ?",
        "Elle parle très lentement dans cet enregistrement.",
    ),
}


def make_row(
    name: str,
    source: str,
    *,
    texts: tuple[str, str] | None = None,
    names: tuple[str, ...] = (),
    is_text_first: bool = False,
    is_answer: bool = False,
    has_nulls: bool = True,
    **changes,
) -> dict:
    """A row with both keys in every part, one of them null, as `datasets` writes it."""
    question, answer = texts or TEXTS[source[-2:]]
    audio = [{"audio_path": f"/path/to/{each}.wav"} for each in names or (name,)]
    text = [{"text": question}]
    contents = (text + audio if is_text_first else audio + text, [{"text": answer}])
    if is_answer:
        contents = (text, audio)
    if has_nulls:
        contents = tuple(
            [{"text": None, "audio_path": None, **part} for part in parts] for parts in contents
        )
    messages = [
        {"content": parts, "role": role}
        for parts, role in zip(contents, ("user", "assistant"), strict=True)
    ]
    return {
        "id": name,
        "messages": messages,
        "task": "closed_ended",
        "data_source": source,
        **changes,
    }


def write_lines(root: Path, place: str, rows: list[dict | bytes]) -> Path:
    """`place` is split/category/language; bytes are written as they are."""
    path = root / place / "split0.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode()
        for row in rows
    ]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def write_tone(path: Path, hz: float = 220.0, *, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.2 * np.sin(2 * np.pi * hz * np.arange(int(0.4 * rate)) / rate)
    form = {".mp3": {"format": "MP3"}, ".opus": {"format": "OGG", "subtype": "OPUS"}}
    soundfile.write(path, wave, rate, **form.get(path.suffix, {}))


def write_corpora(root: Path) -> dict[str, Path]:
    """MLS in German (FLAC) and French (Opus), two locales of Common Voice, two speakers of VCTK."""
    for number in range(3):
        write_tone(root / f"mls/mls_german/train/audio/10/20/10_20_{number:06d}.flac", 200 + number)
    write_tone(root / "mls/mls_french_opus/train/audio/11/21/11_21_000000.opus", rate=48_000)
    for language, clip in (("de", 23905138), ("de", 23905139), ("fr", 1842)):
        write_tone(
            root
            / f"cv/cv-corpus-15.0-2023-09-08/{language}/clips/common_voice_{language}_{clip}.mp3",
            rate=32_000,
        )
    for mic in (1, 2):
        write_tone(
            root / f"vctk/VCTK-Corpus-0.92/wav48_silence_trimmed/p234/p234_238_mic{mic}.flac",
            100.0 * mic,
            rate=48_000,
        )
    write_tone(
        root / "vctk/VCTK-Corpus-0.92/wav48_silence_trimmed/s5/s5_001_mic2.flac", rate=48_000
    )
    return {"mls": root / "mls", "common_voice": root / "cv", "vctk": root / "vctk"}


def join_flags(roots: dict[str, Path]) -> str:
    return "--audio=" + ",".join(f"{name}={root}" for name, root in roots.items())
