"""What a recogniser understands of a speaker, where pocketsphinx is installed."""

import numpy as np
import pytest
from obedient_speaker import speak

from data_prep.generation.measure_speech import Hearing, measure_line
from data_prep.generation.requests import Request, read_known
from data_prep.generation.spoken_folder import Spoken
from data_prep.metadata.experts import parse_experts
from data_prep.recognition.bigram_lm import split_words, write_build_model
from data_prep.recognition.recognisers import Recognising, get_recogniser
from sift_jax.audio.files import write_audio


@pytest.mark.extras
def test_pocketsphinx_understands_clear_speech(built, tmp_path):
    pytest.importorskip("pocketsphinx")
    text = next(
        row["transcript"]
        for row in read_known(built).values()
        if row["language"] == "en" and len(row["transcript"]) > 40
    )
    request = Request(
        id="a--0", language="en", instruction=text, text=text, asked={"gender": "male"}
    )
    write_audio(tmp_path / "a.wav", speak(request, {}, tries=1))
    line, text = (
        Spoken(request=request, sample=0, seed=0, audio="a.wav", units=1, has_ended=True),
        split_words(text),
    )
    said = {}
    for name, model in (
        ("alone", None),
        ("knowing", str(write_build_model(built, tmp_path, "en"))),
    ):
        asr = Recognising(recogniser="pocketsphinx", sentences=model)
        row = measure_line(
            tmp_path, line, None, Hearing(experts=parse_experts(""), gender_model=None, asr=asr)
        )
        said[name] = row["said"].split()
        assert not asr.knows("de")
        # whatever it hears in between
        write_audio(
            tmp_path / "b.wav", np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32)
        )
        get_recogniser(asr).recognise(tmp_path / "b.wav", "en")
        assert row == measure_line(
            tmp_path, line, None, Hearing(experts=parse_experts(""), gender_model=None, asr=asr)
        )
    # its own model hardly understands a synthesizer; with the sentences it does
    assert said["alone"] and len(set(text) & set(said["knowing"])) >= 0.6 * len(set(text))
