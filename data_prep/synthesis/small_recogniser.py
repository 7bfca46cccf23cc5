"""pocketsphinx for the small world: any of its words may follow any other, so that its errors are
those of hearing.

With the model's own language of 130,000 words nine in ten words of the synthesizer's are misheard,
at four times the cost.
"""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from data_prep.recognition.hypothesis import RecogniserError
from data_prep.recognition.recognisers import Sphinx
from data_prep.synthesis.small_world import WORLDS
from data_prep.tasks.decode import place_audio
from sift_jax.extras import is_installed, say_install
from sift_jax.storage.whole_files import write_whole


def make_word_loop(folder: Path) -> Sphinx:
    """It hears the words of the small world and no others."""
    if not is_installed("pocketsphinx"):
        raise RecogniserError(
            f"pocketsphinx is not installed; {say_install('align')}, or give --no_asr"
        )
    words = sorted(WORLDS["en"].words)
    grammar = folder / "words.jsgf"
    grammar.write_text(f"#JSGF V1.0;\ngrammar words;\npublic <said> = ( {' | '.join(words)} )+;\n")
    return Sphinx(jsgf=str(grammar))


def hear_all(identities: Iterable[str], out: Path, language: str) -> dict[str, str]:
    """What is heard in each recording; kept, so that it listens once."""
    kept = out / "heard.json"
    known: dict[str, str] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    listener = None
    with tempfile.TemporaryDirectory() as folder:
        for identity in identities:
            if identity not in known:
                listener = listener or make_word_loop(Path(folder))
                known[identity] = listener.recognise(
                    place_audio(out / "audio", identity), language
                ).text
    write_whole(kept, json.dumps(known))
    return known
