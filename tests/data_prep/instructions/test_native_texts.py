"""What a native editor would strike out of the texts, one test for each class of error.

Rows of all forms are written from metadata in which every class occurs, so that every template
meets every phrase.
"""

import json
import random
import re
from pathlib import Path

import pytest
from fake_metadata import write_metadata

from data_prep.instructions import acoustic, comparison, content, generation, open_ended, word_align
from data_prep.instructions.templates import load_templates, spell_words, write_request
from data_prep.tasks import example_to_row as tasks
from sift_jax.evaluation.suites.prompts import load_prompts
from sift_jax.sift.labels import (
    ACCENTS,
    ACOUSTIC_LABELS,
    AGE_CATEGORIES,
    LABELS,
    LANGUAGE_NAMES,
    LANGUAGES,
    find_labels,
    find_quotations,
    name_label,
    remove_quotations,
    space_signs,
)

ROMANCE = ("fr", "it", "es")
# what contracts, or is elided, where two words meet
UNJOINED = {
    "fr": (
        r"\b(?:de|à) les?\b(?! plus)|(?<![-\w])(?:que|de|le|la|ne|je|te) "
        r"(?=[aeiouéèêœ])(?!onz|oui)"
    ),
    "it": (
        r"\bsu (?:il|lo|la|i|gli|le)\b|\b(?:di|a|da|in) "
        r"(?:il|lo|la|i|gli|le)\b|\b(?:su|di|a|da|in) l'"
    ),
    "es": r"\b(?:de|a) el\b",
}
ALOUD = {"de": "laut", "fr": "voix haute", "it": "alta voce", "es": "voz alta"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """language → (form, question, answer) of every form of question."""
    folder = tmp_path_factory.mktemp("language")
    return {language: list(_write_rows(folder, language)) for language in LANGUAGES}


def _write_rows(folder, language):
    path = write_metadata(folder / f"{language}.jsonl", sizes={"train": 100}, languages=(language,))
    utterances = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for number, utterance in enumerate(utterances):
        utterance["age_category"] = AGE_CATEGORIES[number % len(AGE_CATEGORIES)]
        utterance["accent"] = ACCENTS[number % len(ACCENTS)]
    templates, rng = load_templates(language), random.Random(language)
    words = sorted(
        {word for u in utterances for word in content.list_words(u["transcript"], language)}
    )
    items = []
    for number, utterance in enumerate(utterances):
        items += acoustic.make_items(utterance, templates, rng)
        items += content.make_items(utterance, templates, rng, words=words, has_accents=True)
        items += word_align.make_items(utterance, templates, rng)
        items += open_ended.make_items(utterance, templates, rng)
        items += generation.make_items(
            {**utterance, "transcript": "…"}, templates, rng, has_accents=True
        )
        spoken = {**utterance, "language": list(LANGUAGE_NAMES)[number % len(LANGUAGE_NAMES)]}
        items += content.make_language_items(spoken, templates, rng, 1)
    for pair in comparison.make_pairs(utterances, rng, 2):
        items += comparison.make_items(pair, templates, rng)
    return ((item.form, item.question, item.answer or "") for item in items)


def read_task_templates(language):
    return json.loads(
        (Path(tasks.__file__).parent / "templates" / f"{language}.json").read_text(encoding="utf-8")
    )


def list_texts(node):
    if isinstance(node, str):
        return [node]
    return [
        text
        for item in (node.values() if isinstance(node, dict) else node)
        for text in list_texts(item)
    ]


def find_in(rows, language, pattern, forms=""):
    """What of the rows matches, outside of what they quote."""
    found = re.compile(pattern, re.IGNORECASE)
    return [
        text
        for form, *texts in rows[language]
        if form.startswith(forms)
        for text in texts
        if found.search(remove_quotations(text))
    ][:5]


@pytest.mark.parametrize("language", UNJOINED)
def test_prepositions_and_articles_contract_and_vowels_are_elided(rows, language):
    assert not find_in(rows, language, UNJOINED[language])


def test_french_signs_have_their_space():
    texts = [
        *list_texts(
            {name: value for name, value in load_templates("fr").items() if name != "language"}
        ),
        *list_texts(read_task_templates("fr")),
        *(wordings["fr"] for wordings in load_prompts().values()),
    ]
    # "nom: valeur" is the layout that is asked for, and stands in quotation marks.
    unspaced = [text for text in texts if re.search(r"[^\s][?:;!]", remove_quotations(text))]
    assert unspaced == []


def test_french_sentences_have_that_space_where_they_stand_in_a_row_too(rows):
    texts = [text for _, *texts in rows["fr"] for text in texts]
    assert not [text for text in texts if re.search(r"\w[?!;:](?!\w)", text)][:3]
    assert any(text.endswith(" ? »") for text in texts)
    assert space_signs("Quoi?! À 10:30: viens\u202f!", "fr") == "Quoi ?! À 10:30 : viens !"
    assert space_signs("What?", "en") == "What?"


def test_french_quotes_are_guillemets(rows):
    assert not [
        text for _, *texts in rows["fr"] for text in texts if re.search(r'"|«\S|\S»', text)
    ][:3]


def test_a_french_degree_of_one_thing_at_its_height_is_invariable(rows):
    """ "C'est le soir que la voix est le plus aiguë": a feminine superlative would compare it with
    other voices."""
    forms = ("highest_word", "loudest_word")
    assert not [
        text
        for form, *texts in rows["fr"]
        if form in forms
        for text in texts
        if "voix est la plus" in text
    ]


@pytest.mark.parametrize("language", ALOUD)
def test_aloud_is_not_loudly(language):
    neutral = [
        text
        for task in ("asr", "tts", "speech_to_speech", "translation")
        for text in read_task_templates(language)[task]
    ]
    assert [text for text in neutral if find_labels(text, language)] == []
    assert not [
        text for text in neutral if re.search(rf"\b(?:alta|haute|{ALOUD[language]})\b", text)
    ]
    if language != "de":
        assert find_labels(f"… {ALOUD[language]}: …", language) == []


def test_what_is_to_be_read_loudly_is_not_asked_to_be_read_aloud(rows):
    for language, word in ALOUD.items():
        assert not [
            text
            for form, text, _ in rows[language]
            if form in generation.WEIGHTS and re.search(rf"\b{word}\b", text.rsplit("…", 1)[0])
        ][:3]


@pytest.mark.parametrize("language", ROMANCE)
def test_decades_of_life_are_not_about_one_age(rows, language):
    circa = {
        "fr": r"\bune \w+aine d'années|\benviron \S+ ans",
        "it": r"\bcirca \w+'anni",
        "es": r"\bunos \w+ años",
    }
    assert not find_in(rows, language, circa[language])


def test_the_age_of_older_texts_is_still_found():
    older = {
        "fr": "environ soixante-dix ans",
        "it": "circa settant'anni",
        "es": "unos setenta años",
    }
    for language, text in older.items():
        assert find_labels(text, language) == [("age_category", "seventies")]
    assert find_labels("une vingtaine d'années", "fr") == [("age_category", "twenties")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_comparisons_are_sentences_whose_subject_the_label_agrees_with(rows, language):
    heads = load_templates(language)["compare"]["heads"]
    assert heads.keys() == ACOUSTIC_LABELS.keys()
    answers = [answer for form, _, answer in rows[language] if form == "compare"]
    assert answers and all(
        any(head.lower() in answer.lower() for head in heads.values()) for answer in answers
    )


def test_french_adjectives_agree(rows):
    assert not find_in(
        rows,
        "fr",
        r"\b(?:premier|second|enregistrement|son|extrait|fichier audio)(?: est| semble)? "
        r"(?:très |un peu |assez )?(?:lointaine|proche[^s]*te)\b",
    )
    assert not find_in(rows, "fr", r"s'exprime fort\b|prononcée fort\b|sonne (?:avec|presque|sans)")


def test_french_superlatives_have_their_article(rows):
    assert not find_in(
        rows, "fr", r"\b(?:Quelle?|Qui|Lequel)\b[^?]*[^lae] (?:plus|moins) ", "which"
    )


def test_italian_plural_subjects_have_plural_verbs(rows):
    assert not find_in(
        rows, "it", r"\bsi avverte \w+ e \w+|\bche tipo di stanza fa\b(?<!a che tipo di stanza fa)"
    )


def test_spanish_answers_have_their_verb_and_their_article(rows):
    assert not find_in(
        rows, "es", r"\bdiría que (?:la|el)\b|\bse nota acento|\bse percibe \w+ [ey] "
    )


def test_spanish_full_stops_stand_behind_the_quotation(rows):
    assert not [
        answer
        for form, _, answer in rows["es"]
        if form == "transcript" and not re.search(r'[^.]"\.$', answer)
    ]


def test_spanish_words_sound_high_and_have_no_accent_on_their_end(rows):
    # A "palabra aguda" is one that is stressed on its last syllable.
    assert not find_in(rows, "es", r"\bpalabra más (?:aguda|grave)\b|\bqué palabra es\b")


def test_spanish_questions_about_two_files_name_what_they_choose_among(rows):
    # "Escucha los dos archivos. ¿En cuál de las dos …?" does not agree.
    assert not find_in(rows, "es", r"\bcuál de las dos\b(?! grabaciones)", "which")


def test_spanish_labels_of_older_texts_are_still_found():
    older = {
        "el clima": ("topic", "weather"),
        "el viaje": ("topic", "travel"),
        "una distorsión clara": ("distortion_level", "noisy"),
        "sexo diferente": ("same_gender", "different"),
    }
    assert {text: find_labels(text, "es") for text in older} == {
        text: [label] for text, label in older.items()
    }


def test_german_cases_and_nouns(rows):
    assert not find_in(rows, "de", r"\bich höre [^:]*: erst ein Mann|\beinzelnen Töne\b")
    # After a colon a whole sentence begins with a capital, outside of a request, which ends in a
    # colon of its own.
    verbs = "ist|klingt|wirkt|spricht|kommt|wird|unterscheide[nt]"
    assert not find_in(rows, "de", rf": (?-i:die|der|das|wie|hier|sie) (?:\w+ )?(?:{verbs})\b")


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_genders_are_named_where_both_are_meant(language):
    both = {
        "en": "both?$",
        "de": "oder beides",
        "fr": "ou les deux",
        "it": "o entrambi",
        "es": "o a ambos",
    }
    questions = load_templates(language)["same_gender"]["questions"]
    assert not [text for text in questions if re.search(both[language], text)]


@pytest.mark.parametrize("language", ROMANCE)
def test_emotions_are_of_one_part_of_speech(language):
    assert read_task_templates(language)["emotions"]["neutral"] in (
        "neutralité",
        "neutralità",
        "neutralidad",
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_request_without_a_style_is_a_whole_sentence(language):
    templates = load_templates(language)
    for question in templates["controllable_generation"]["questions"]:
        request = write_request(templates, question, {}, "…")
        assert not re.search(r",\s*:|, \w+( \w+)?\s?: …|  ", request), request


def test_words_keep_the_capital_that_is_their_own():
    assert spell_words(["Where", "is", "Anna?", "I", "go."], "en") == [
        "where",
        "is",
        "Anna?",
        "I",
        "go.",
    ]
    assert spell_words(["È", "partito.", "Forse", "Luca"], "it") == [
        "è",
        "partito.",
        "forse",
        "Luca",
    ]
    assert spell_words(["RAIN", "FALLS"], "en") == ["rain", "falls"]
    assert spell_words(["Der", "Hund", "bellt."], "de") == ["Der", "Hund", "bellt."]
    assert content.list_words("Heute bellt der Hund.", "de") == ["bellt", "Hund"]
    assert content.list_words("Dogs bark at Anna.", "en") == ["dogs", "bark", "Anna"]


def test_german_quotations_have_german_marks(rows):
    texts = [text for _, *texts in rows["de"] for text in texts]
    assert any("„" in text for text in texts) and not [text for text in texts if '"' in text][:3]


def test_marks_within_a_transcript_do_not_end_its_quotation():
    utterance = {
        "id": "u",
        "language": "de",
        "transcript": "Er sagte „nein“ und ging.",
        "gender": None,
        "topic": None,
        "age_category": None,
        "accent": None,
        "is_question": None,
        "phonemes": None,
    }
    items = content.make_items(
        utterance, load_templates("de"), random.Random(0), words=["Haus"], has_accents=True
    )
    (answer,) = (item.answer for item in items if item.form == "transcript")
    assert find_quotations(answer) == ["Er sagte nein und ging."]


def test_german_names_of_labels_are_whole_where_they_stand_alone():
    """No case hangs in the air: "in tiefer Tonlage", not "tiefer Tonlage"."""
    names = [
        name_label(key, label, "de")
        for key in (*ACOUSTIC_LABELS, "accent", "age_category")
        for label in LABELS[key]
    ]
    nouns = "Tonlage|Tempo|Lautstärke|Betonung|Verzerrung|Qualität|Akzent"
    hanging = re.compile(rf"(?!(?:in|mit|von|ohne) ).*e[rm] (?:{nouns})|[A-Z]\w+ern")
    assert [name for name in names if hanging.fullmatch(name)] == []


def test_german_answers_name_what_is_asked_for(rows):
    """Who is asked "Welche Person …?" is not told of a recording."""
    assert not [
        question
        for form, question, _ in rows["de"]
        if form.startswith("which")
        if not re.search(r"[Aa]ufnahme|Welche der beiden", question)
    ][:3]


def test_german_nouns_are_quoted_with_their_capital(rows):
    nouns = {
        word
        for line in (Path(content.__file__).parents[1] / "embedded/sentences/de.tsv")
        .read_text(encoding="utf-8")
        .splitlines()[1:]
        for word in re.findall(r"(?<=\s)[A-ZÄÖÜ]\w+", line.split("\t")[1])
    }
    quoted = {
        word
        for form, *texts in rows["de"]
        if form in ("spoken_word", "word_pitch", "word_intensity")
        for text in texts
        for word in find_quotations(text)
    }
    small = {word.lower() for word in nouns} & quoted
    # Only words that are written small elsewhere may be small ("Morgen", "morgen").
    assert len(quoted & nouns) > 20 and len(small) <= 0.1 * len(quoted & nouns), sorted(small)
