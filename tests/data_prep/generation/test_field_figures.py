"""Requests for a class of a free field: heard by an expert, scored by the share that comes out so,
and told."""

import dataclasses

import numpy as np
import pytest

from data_prep.generation import measure_speech
from data_prep.generation.field_figures import (
    classify_fields,
    list_heard,
    score_field,
    score_field_floors,
)
from data_prep.generation.report import list_missing, make_field_table, make_terminal
from data_prep.generation.requests import Request, check_request
from data_prep.generation.spoken_folder import Spoken
from data_prep.metadata.experts import make_panel, parse_experts
from data_prep.metadata.fields import HEARD, Listener
from sift_jax.audio.files import write_audio
from sift_jax.evaluation.scores.bootstrap import BootstrapConfig
from sift_jax.sift.fields import load_fields

FIELDS = load_fields()
BOOTSTRAP = BootstrapConfig(samples=50, confidence=0.95, seed=0)


def make_line(name, emotion, sample=0):
    fields = {"emotion": emotion} if emotion else {}
    request = Request(
        id=name, language="en", instruction="…", text=f"Text {name}.", asked={}, fields=fields
    )
    return Spoken(
        request=request, sample=sample, seed=0, audio=f"{name}.wav", units=9, has_ended=True
    )


def make_row(missing=None, **shares):
    return {"missing": missing or {}, HEARD: {"emotion": shares} if shares else {}}


LINES = [
    make_line("a", "angry"),
    make_line("b", "sad"),
    make_line("c", "sad"),
    make_line("d", None),
    make_line("e", "happy"),
    make_line("f", "calm"),
]
ROWS = [
    make_row(ang=0.6, sad=0.4),
    make_row(sad=0.9),
    make_row(ang=0.5, sad=0.4),
    make_row(ang=1.0),
    make_row({"speaking_rate": "silence"}),
    make_row(puzzled=1.0),
]


def test_the_surest_class_is_what_came_out():
    outcomes = classify_fields(LINES, ROWS, FIELDS)
    classes = list(FIELDS[0].classes)
    assert [
        (o.id, classes[o.asked], None if o.found is None else classes[o.found], o.reason)
        for o in outcomes
    ] == [
        ("a", "angry", "angry", None),
        ("b", "sad", "sad", None),
        ("c", "sad", "angry", None),
        ("e", "happy", None, "silence"),
        ("f", "calm", None, "heard as no class of the table"),
    ]
    assert list_heard(FIELDS, ["average_pitch"]) == () and list_heard(FIELDS, ["emotion"]) == FIELDS


def test_figures_are_the_share_in_the_class_asked_for():
    outcomes = classify_fields(LINES, ROWS, FIELDS)
    (cell,) = score_field("model", "en", "emotion", outcomes, BOOTSTRAP)
    assert (cell.metric, cell.n, cell.of, cell.value) == ("exact", 3, 5, pytest.approx(2 / 3))
    chance, constant = score_field_floors("en", "emotion", outcomes, BOOTSTRAP)
    assert (chance.system, constant.system, constant.value) == (
        "permuted",
        "constant",
        pytest.approx(2 / 5),
    )
    results = {
        "cells": [dataclasses.asdict(one) for one in (cell, chance, constant)],
        "settings": {"bootstrap": {"confidence": 0.95}},
        "systems": {
            "model": {
                "items": 5,
                "runs": 1,
                "samples": 5,
                "seconds": 9.0,
                "units_per_second": 1.0,
                "asked_not_measured": {},
                "nothing_measured": {},
                "stopped_at_limit": 0,
            }
        },
    }
    head, (row,) = make_field_table(results)
    assert head[:4] == ["language", "asked", "heard", "model %"] and row[:4] == [
        "English",
        "emotion",
        "3 of 5",
        "66.7",
    ]
    assert "in the class asked for, as the expert hears it" in make_terminal(results)
    assert ["model", "emotion", "silence", "1"] in list_missing(results)


def test_the_expert_hears_what_was_spoken(tmp_path, monkeypatch):
    time = np.arange(16_000) / 16_000
    write_audio(tmp_path / "a.wav", (0.1 * np.sin(2 * np.pi * 150 * time)).astype(np.float32))
    listener = Listener(
        field="emotion",
        folder=tmp_path,
        labels=("ang", "sad"),
        hear=lambda waves: [{"ang": 0.7, "sad": 0.3} for _ in waves],
    )
    panel = dataclasses.replace(make_panel(), listeners=[listener])
    monkeypatch.setattr(measure_speech, "make_panel", lambda *_: panel)
    row = measure_speech.measure_line(
        tmp_path,
        LINES[0],
        "T|EH|K|S|T",
        measure_speech.Hearing(experts=parse_experts(""), gender_model=None, asr=None),
    )
    assert row[HEARD] == {"emotion": {"ang": 0.7, "sad": 0.3}}


def test_fields_of_a_request_are_texts():
    fields = dataclasses.asdict(LINES[0].request)
    assert check_request(fields) == fields
    assert (
        check_request({name: value for name, value in fields.items() if name != "fields"})["fields"]
        == {}
    )
    for odd in (["angry"], {"emotion": 5}, "angry"):
        with pytest.raises(ValueError, match="fields is .*, not {field: class}"):
            check_request({**fields, "fields": odd})
