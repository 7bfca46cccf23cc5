"""What small models write and no clip supports is dropped; what only looks like it is kept."""

import pytest

from data_prep.instructions.filters.answers import misses_wish
from data_prep.instructions.filters.copies import Copies
from data_prep.instructions.filters.rules import Candidate, find_fault
from data_prep.instructions.llm.instruction_sets import SETS
from data_prep.instructions.llm.worked import load_worked
from sift_jax.sift.labels import LANGUAGES

ACOUSTIC, CONTENT, OPEN, COMPARISON = (
    "closed_ended/acoustic_level",
    "closed_ended/content_level",
    "open_ended",
    "closed_ended/comparison",
)
WOMAN = {
    "gender": "female",
    "age_category": "thirties",
    "speaking_rate": "quite fast",
    "average_pitch": "quite high pitch",
    "pitch_variation": "slightly monotone",
    "noise_level": "clean",
    "average_intensity": "softly",
}
MAN = {
    "gender": "male",
    "age_category": "sixties",
    "speaking_rate": "very slowly",
    "average_pitch": "quite low pitch",
    "noise_level": "noisy",
}
TRANSCRIPTS = {
    "en": "the old captain asked whether the storm would pass before night",
    "de": "der alte kapitän fragte ob der sturm vor der nacht vorüberzieht",
    "fr": "le vieux capitaine demanda si la tempête passerait avant la nuit",
    "it": "il vecchio capitano chiese se la tempesta sarebbe passata prima di notte",
    "es": "el viejo capitán preguntó si la tormenta pasaría antes de la noche",
}


def make_candidate(language, set_name, question, answer):
    two = set_name == COMPARISON
    return Candidate(
        question=question,
        answer=answer,
        set_name=set_name,
        language=language,
        truths=(WOMAN, MAN) if two else (WOMAN,),
        transcripts=(TRANSCRIPTS[language],) * (1 + two),
    )


GOOD = [
    ("en", ACOUSTIC, "Tell me how quickly the woman speaks", "She speaks quite fast."),
    (
        "en",
        ACOUSTIC,
        "I would like to know whether there is noise in the background.",
        "No, the recording is clean.",
    ),
    ("en", ACOUSTIC, "Would you call the delivery expressive?", "No, it is slightly monotone."),
    (
        "en",
        ACOUSTIC,
        "Listening closely, describe the loudness and the pitch.",
        "The person speaks softly and with a quite high pitch.",
    ),
    (
        "en",
        CONTENT,
        "What did the old captain want to know?",
        "He asked whether the storm would pass before night.",
    ),
    ("en", CONTENT, 'Is the word "storm" said?', "Yes, it is."),
    ("en", CONTENT, 'Is the word "island" said?', 'No, "island" is not said.'),
    ("en", CONTENT, 'Which word comes before "captain"?', 'The word "old" does.'),
    (
        "en",
        CONTENT,
        "What question is being asked?",
        'The captain asks "whether the storm would pass".',
    ),
    ("en", OPEN, "How does the captain feel?", "He may be anxious, for he asks about the storm."),
    (
        "en",
        OPEN,
        "Is this a calm voice to fall asleep to?",
        "It could serve: she speaks softly, though quite fast.",
    ),
    (
        "en",
        OPEN,
        "Guess what comes next",
        "Somebody may answer the captain: will the storm pass? Nobody can know.",
    ),
    (
        "en",
        COMPARISON,
        "Which of the two is noisier?",
        "The first recording is clean, the second one noisy.",
    ),
    (
        "en",
        COMPARISON,
        "Who talks faster?",
        "The second speaker talks very slowly, the first quite fast.",
    ),
    (
        "en",
        COMPARISON,
        "Compare the pitch.",
        "Compared with the first, which has a quite high pitch, it is lower.",
    ),
    ("de", ACOUSTIC, "Beschreib bitte das Tempo.", "Die Frau spricht ziemlich schnell."),
    (
        "de",
        OPEN,
        "Was könnte als Nächstes kommen?",
        "Der Kapitän wirkt besorgt, er fragt ja nach dem Sturm.",
    ),
    ("fr", ACOUSTIC, "Dis-moi à quelle vitesse elle parle.", "Elle parle assez vite."),
    (
        "it",
        CONTENT,
        "Dimmi che cosa chiede il capitano.",
        "Chiede se la tempesta passerà prima di notte.",
    ),
    (
        "es",
        COMPARISON,
        "¿Cuál es más ruidosa?",
        "La primera grabación es limpia y la segunda, ruidosa.",
    ),
]
BAD = [
    (
        "en",
        CONTENT,
        "What does the person ask?",
        "What is the person asking about the speech?",
        "asks back",
    ),
    ("en", ACOUSTIC, "How is the voice?", "How is the voice?", "asks back"),
    ("en", ACOUSTIC, "The voice is quite fast.", "Quite fast.", "no question"),
    ("en", ACOUSTIC, "Average pitch", "Quite high pitch.", "no question"),
    (
        "en",
        ACOUSTIC,
        "How fast does [speaker] talk?",
        "The person talks quite fast.",
        "not filled in",
    ),
    ("en", ACOUSTIC, 'How fast?", "answer": "It', "It is quite fast.", "not filled in"),
    (
        "en",
        ACOUSTIC,
        "Am I right that she speaks very slowly?",
        'No" and says that the person speaks quite fast.',
        "not filled in",
    ),
    ("en", ACOUSTIC, "How fast does he talk?", "He talks quite fast.", "wrong gender"),
    (
        "en",
        CONTENT,
        'Which word follows "storm"?',
        'The word "arrived" does.',
        "quotes what is not said",
    ),
    ("en", CONTENT, 'Is the word "island" said?', "Yes, it is said.", "quotes what is not said"),
    (
        "en",
        OPEN,
        "How might she feel?",
        (
            "The speaker seems rather tired or bored, talking quite fast and in a slightly "
            "monotone way."
        ),
        "guesses a mood",
    ),
    (
        "en",
        OPEN,
        "How might she feel?",
        "The speaker seems calm and composed, talking quite fast and in a slightly monotone way.",
        "guesses a mood",
    ),
    (
        "de",
        OPEN,
        "Wie mag sie sich fühlen?",
        "Die Frau wirkt müde, denn sie spricht eher monoton.",
        "guesses a mood",
    ),
    (
        "fr",
        OPEN,
        "Comment se sent-elle ?",
        "Elle semble calme et parle de façon légèrement monotone.",
        "guesses a mood",
    ),
    (
        "it",
        OPEN,
        "Come si sente?",
        "Sembra stanca e parla in modo leggermente monotono.",
        "guesses a mood",
    ),
    (
        "es",
        OPEN,
        "¿Cómo se siente?",
        "Parece cansada, porque habla de forma algo monótona.",
        "guesses a mood",
    ),
    (
        "en",
        COMPARISON,
        "Which is noisier?",
        "The first recording is noisy, the second one clean.",
        "mixes up the recordings",
    ),
    (
        "de",
        COMPARISON,
        "Welche ist verrauscht?",
        "Die erste Aufnahme ist verrauscht, die zweite sauber.",
        "mixes up the recordings",
    ),
    (
        "fr",
        COMPARISON,
        "Lequel est bruité ?",
        "Le premier enregistrement est bruité, le second est net.",
        "mixes up the recordings",
    ),
    (
        "it",
        COMPARISON,
        "Quale è rumorosa?",
        "La seconda registrazione è pulita, la prima è rumorosa.",
        "mixes up the recordings",
    ),
    (
        "es",
        COMPARISON,
        "¿Cuál es ruidosa?",
        "La primera grabación es ruidosa y la segunda es limpia.",
        "mixes up the recordings",
    ),
]
# (question, answer, keys, the false label that was to be asked about, yes or no, whether something
# is missing)
WISHES = [
    ("How fast is it?", "It is spoken quite fast.", ("speaking_rate",), "", None, False),
    ("How fast is it?", "It is spoken softly.", ("speaking_rate",), "", None, True),
    (
        "What do you make of pace and noise?",
        "It is clean and quite fast.",
        ("speaking_rate", "noise_level"),
        "",
        None,
        False,
    ),
    (
        "What do you make of pace and noise?",
        "It is quite fast.",
        ("speaking_rate", "noise_level"),
        "",
        None,
        True,
    ),
    ("Is it spoken quite fast?", "Yes.", ("speaking_rate",), "", True, False),
    ("Is it spoken quite fast?", "It is.", ("speaking_rate",), "", True, True),
    ("Is it pleasant?", "Yes.", ("speaking_rate",), "", True, True),
    (
        "Is it spoken very slowly?",
        "No, quite fast.",
        ("speaking_rate",),
        "very slowly",
        False,
        False,
    ),
    ("Is it spoken quite fast?", "No, quite fast.", ("speaking_rate",), "very slowly", False, True),
    ("Say it quite fast", None, ("speaking_rate",), "", None, False),
    ("Say it well", None, ("speaking_rate",), "", None, True),
    ("Anything?", "Nothing.", (), "", None, False),
]


@pytest.mark.parametrize("language, set_name, question, answer", GOOD)
def test_good_pairs_are_kept(language, set_name, question, answer):
    assert find_fault(make_candidate(language, set_name, question, answer)) is None


@pytest.mark.parametrize("language, set_name, question, answer, fault", BAD)
def test_nonsense_is_dropped(language, set_name, question, answer, fault):
    assert find_fault(make_candidate(language, set_name, question, answer)) == fault


@pytest.mark.parametrize("question, answer, keys, other, verdict, is_missing", WISHES)
def test_an_answer_states_the_label_that_was_asked_for(
    question, answer, keys, other, verdict, is_missing
):
    candidate = make_candidate("en", ACOUSTIC, question, answer)
    assert misses_wish(candidate, keys=keys, other=other, verdict=verdict) == is_missing


def test_both_recordings_are_told():
    wish = {"keys": ("noise_level",), "other": "", "verdict": None}
    both, one = (
        make_candidate("en", COMPARISON, "How do they differ?", answer)
        for answer in ("The first is clean, the second noisy.", "The second one is noisy.")
    )
    assert not misses_wish(both, **wish) and misses_wish(one, **wish)


def test_what_a_prompt_shows_is_found_again():
    copies = Copies(
        (
            "How quickly is this sentence spoken?",
            "It is spoken slightly fast.",
            "One follows her easily, for the recording is clean and the voice is near.",
        )
    )
    assert copies.has("how quickly is this sentence spoken")
    assert copies.has("I think: one follows her easily, for the recording is clean. Is it not?")
    # short answers are true of many clips
    assert not copies.has("It is spoken slightly fast.") and not copies.has(
        "How quickly does she speak?"
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SETS)
def test_the_worked_examples_pass_all_rules(name, language):
    worked = load_worked(name, language)
    for pair, brief in zip(worked.pairs, worked.briefs, strict=True):
        candidate = Candidate(
            question=pair["question"],
            answer=pair.get("answer"),
            set_name=name,
            language=language,
            truths=worked.request.truths,
            transcripts=worked.request.transcripts,
        )
        assert find_fault(candidate) is None, pair
        assert not misses_wish(
            candidate, keys=brief.keys, other=brief.other, verdict=brief.verdict
        ), pair
