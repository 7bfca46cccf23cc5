"""Each rule finds its fault and lets good pairs pass; the templates, which are right by make, pass
all of them."""

import json
import random

import pytest

from data_prep.instructions import acoustic, comparison, generation, open_ended
from data_prep.instructions.filters.rules import Candidate, find_fault, make_duplicate_key
from data_prep.instructions.templates import load_templates
from sift_jax.sift.labels import ACOUSTIC_LABELS, LANGUAGES

TRUTH = {
    "speaking_rate": "very slowly",
    "average_pitch": "quite low pitch",
    "noise_level": "noisy",
    "gender": "male",
    "age_category": "twenties",
    "accent": "British",
}
TRANSCRIPT = "Wait ten minutes, the rain will be over then."


def fault(
    question,
    answer,
    *,
    set_name="closed_ended/acoustic_level",
    language="en",
    truths=(TRUTH,),
    transcript=TRANSCRIPT,
):
    return find_fault(
        Candidate(
            question=question,
            answer=answer,
            set_name=set_name,
            language=language,
            truths=truths,
            transcripts=(transcript,) * len(truths),
        )
    )


GOOD = [
    ("How fast does he talk?", "He talks very slowly."),
    ("Is it noisy?", "Yes, it is noisy."),
    ("Does he speak very fast?", "No, not at all."),
    ("Is he speaking very fast?", "No, he speaks very slowly."),
    ("Does he talk very fast or very slowly?", "Very slowly, not very fast."),
    ("Who is it?", "A man in his twenties."),
    ("What is said?", 'The speaker says: "Wait ten minutes, the rain will be over then."'),
    ("How long should one wait?", "The speaker says to wait ten minutes."),
    ("What does he say?", 'He says "as an AI, I cannot help with the metadata".'),
    ("Does he have a German accent?", "No, a British accent."),
    ("Is the pitch of the voice low?", "Yes."),
]
BAD = [
    ("How fast does he talk?", "He talks very fast.", "contradicts metadata"),
    ("How noisy is it?", "The clip is very noisy.", "contradicts metadata"),
    ("Does he speak very fast?", "Yes, he does.", "contradicts metadata"),
    ("Is it noisy?", "No, it isn't.", "contradicts metadata"),
    ("Who is it?", "A woman in her thirties.", "contradicts metadata"),
    ("Which accent is it?", "A Scottish accent.", "contradicts metadata"),
    ("How is it?", "", "empty"),
    ("?!", "Very slowly.", "empty"),
    ("How is it?", "So " * 800, "too long"),
    ("How is it?", "I'm sorry, but I can't tell.", "refusal"),
    ("How is it?", "As an AI language model I have no ears.", "refusal"),
    ("How is it?", "According to the metadata it is noisy.", "mentions metadata"),
    ("What does average_pitch say?", "It is quite low pitch.", "mentions metadata"),
    ("How is it?", "Based on the provided information, it is noisy.", "mentions metadata"),
    ("When does he start?", "After 2.5 seconds.", "numeric time"),
    ("When?", "At 0:03 he begins.", "numeric time"),
    ("How long is the pause?", "About two seconds.", "numeric time"),
    ("How fast does he talk?", "Er spricht wirklich sehr langsam.", "wrong language"),
]
STORY = "then he walked slowly back to the house and the old woman opened the door"
WOMAN = {"gender": "female", "age_category": "thirties", "speaking_rate": "quite fast"}
# (language, set, question, answer): what reads like a fault and is none
GOOD_OF_A_WOMAN = [
    (
        "en",
        "closed_ended/content_level",
        "How old does the speaker sound?",
        "The speaker sounds like a woman in her 30s.",
    ),
    ("en", "open_ended", "What age group is this?", "Probably someone in their 30s or so."),
    ("en", "open_ended", "When is the story set?", "It seems to be set in the 1920s."),
    (
        "en",
        "closed_ended/content_level",
        "Who walks back to the house?",
        "A man walks back, according to the speaker.",
    ),
    ("en", "closed_ended/content_level", "Who walks back?", "He does: a man who had been away."),
    (
        "en",
        "closed_ended/content_level",
        "Who opens the door?",
        "An old woman in her eighties opens it.",
    ),
    (
        "en",
        "open_ended",
        "Could a language learner follow this?",
        "As a language learner you may find it fast.",
    ),
    (
        "en",
        "open_ended",
        "Is it suited for teaching?",
        "As a language teacher I would use it, since it is quite fast.",
    ),
    (
        "en",
        "open_ended",
        "What stands out?",
        "The beauty is in the details of the delivery, which is quite fast.",
    ),
    (
        "en",
        "open_ended",
        "What would help?",
        "I am sorry to hear that it was hard to follow; the speech is quite fast.",
    ),
    (
        "en",
        "open_ended",
        "What do you make of it?",
        "In the details, the delivery is careful and quite fast.",
    ),
    (
        "en",
        "open_ended",
        "Is it a podcast?",
        "It could be: a host in her 30s who speaks quite fast.",
    ),
    (
        "de",
        "closed_ended/content_level",
        "Wie alt klingt die Stimme?",
        "Die Frau klingt, als wäre sie in ihren 30ern.",
    ),
    (
        "de",
        "open_ended",
        "Was würde helfen?",
        "Es tut mir leid zu hören, dass es schwer war; sie spricht ziemlich schnell.",
    ),
    (
        "de",
        "open_ended",
        "Aus welcher Zeit stammt das?",
        "Es klingt nach den 1920er Jahren und wird ziemlich schnell gesprochen.",
    ),
    ("fr", "closed_ended/content_level", "Quel âge a-t-elle ?", "Elle doit avoir la trentaine."),
    (
        "fr",
        "open_ended",
        "Que conseilles-tu ?",
        "Je suis désolé pour la gêne : elle parle assez vite.",
    ),
    (
        "it",
        "open_ended",
        "Che cosa mi consigli?",
        "Mi dispiace che sia difficile: la voce parla piuttosto in fretta.",
    ),
    (
        "es",
        "closed_ended/content_level",
        "¿Cuántos años tiene?",
        "Parece una mujer de unos 30 años.",
    ),
    (
        "es",
        "open_ended",
        "¿Qué opinas de la voz?",
        "Lo siento mucho por el ruido, pero la mujer habla bastante rápido.",
    ),
]
BAD_OF_A_WOMAN = [
    (
        "en",
        "closed_ended/content_level",
        "Who is speaking?",
        "A man in his thirties.",
        "contradicts metadata",
    ),
    (
        "en",
        "closed_ended/content_level",
        "How old does the speaker sound?",
        "Like a woman in her fifties.",
        "contradicts metadata",
    ),
    ("en", "open_ended", "When does it begin?", "After 2.5s of silence.", "numeric time"),
    ("en", "open_ended", "How long is the pause?", "It is 7s long.", "numeric time"),
    ("en", "open_ended", "How is it?", "I'm sorry, I have not heard it.", "refusal"),
    ("en", "open_ended", "How is it?", "As a large language model I cannot hear it.", "refusal"),
    (
        "en",
        "open_ended",
        "How is it?",
        "Based on the details, she speaks quite fast.",
        "mentions metadata",
    ),
    ("de", "open_ended", "Wie klingt sie?", "Es tut mir leid, das weiß ich nicht.", "refusal"),
    ("es", "open_ended", "¿Cómo suena?", "Lo siento, no lo sé.", "refusal"),
]
IN_LANGUAGES = [
    ("de", "Wie klingt er?", "Laut den Metadaten klingt er ruhig.", "mentions metadata"),
    ("de", "Wie klingt er?", "Es tut mir leid, das weiß ich nicht.", "refusal"),
    ("de", "Wie lang ist die Pause?", "Sie dauert etwa drei Sekunden.", "numeric time"),
    ("de", "Wie schnell spricht er?", "Er spricht sehr schnell.", "contradicts metadata"),
    ("de", "Wie schnell spricht er?", "Er spricht sehr langsam.", None),
    (
        "fr",
        "Comment parle-t-il ?",
        "Selon les données, il parle très lentement.",
        "mentions metadata",
    ),
    ("fr", "Comment parle-t-il ?", "Je suis désolé, je ne sais pas.", "refusal"),
    ("fr", "Quand commence-t-il ?", "Il commence après 2,5 secondes.", "numeric time"),
    ("fr", "Comment parle-t-il ?", "Il parle très vite.", "contradicts metadata"),
    ("fr", "Comment parle-t-il ?", "Il parle très lentement.", None),
    ("it", "Come parla?", "Secondo i metadati parla in modo molto lento.", "mentions metadata"),
    ("it", "Come parla?", "Mi dispiace, non lo so proprio.", "refusal"),
    ("it", "Quando comincia?", "Comincia dopo tre secondi.", "numeric time"),
    ("it", "Come parla?", "Parla in modo molto veloce.", "contradicts metadata"),
    ("it", "Come parla?", "Parla in modo molto lento.", None),
    ("es", "¿Cómo habla?", "Según los datos, habla muy despacio.", "mentions metadata"),
    ("es", "¿Cómo habla?", "Lo siento, no puedo responder a eso.", "refusal"),
    ("es", "¿Cuándo empieza?", "Empieza a los 3 segundos.", "numeric time"),
    ("es", "¿Cómo habla?", "Habla muy rápido.", "contradicts metadata"),
    ("es", "¿Cómo habla?", "Habla muy despacio.", None),
]


@pytest.mark.parametrize("question, answer", GOOD)
def test_good_pairs_pass(question, answer):
    assert fault(question, answer) is None


@pytest.mark.parametrize("question, answer, expected", BAD)
def test_faults_are_found(question, answer, expected):
    assert fault(question, answer) == expected


@pytest.mark.parametrize("language, question, answer, expected", IN_LANGUAGES)
def test_faults_are_found_in_each_language(language, question, answer, expected):
    assert fault(question, answer, language=language) == expected


def test_sets_have_their_own_demands():
    assert fault("How fast?", "He talks quite slowly.", set_name="open_ended") is None
    assert (
        fault("How fast?", "He talks very fast.", set_name="open_ended") == "contradicts metadata"
    )
    timed = {"set_name": "numeric_time"}
    assert fault("When does he say rain?", "At 1.25 seconds.", **timed) is None
    assert fault("When does he say rain?", "Somewhere in the middle.", **timed) == "no time"
    assert fault("How do I boil eggs?", "For seven minutes.", set_name="unrelated") is None
    assert (
        fault("Which words are fast?", "The last is very fast.", set_name="closed_ended/word_align")
        is None
    )
    spoken = {"set_name": "controllable_generation"}
    assert fault("Say this very slowly, with a male voice", None, **spoken) is None
    assert fault("Say this very fast", None, **spoken) == "contradicts metadata"
    assert fault("Say this loudly", None, **spoken) == "contradicts metadata"
    assert (
        fault("Say very slowly that the rain will be over", None, **spoken) == "mentions transcript"
    )
    assert fault("Read the transcript very slowly", None, **spoken) == "mentions transcript"


def test_two_recordings():
    two = {
        "set_name": "closed_ended/comparison",
        "truths": (TRUTH, TRUTH | {"speaking_rate": "very fast"}),
    }
    assert (
        fault("Who is faster?", "The first is very slowly spoken, the second very fast.", **two)
        is None
    )
    assert (
        fault(
            "Who is faster?", "The first speaks at a moderate speed, the second very fast.", **two
        )
        == "contradicts metadata"
    )


def test_what_is_not_known_is_not_held_against_anyone():
    assert fault("How old is he?", "He is in his forties.", truths=({"gender": "male"},)) is None
    own = {"accent": "England English"}
    assert fault("Which accent?", "A British accent, I think.", truths=(own,)) is None
    assert (
        fault(
            "Say this with a British accent",
            None,
            set_name="controllable_generation",
            truths=(own,),
        )
        is None
    )


def test_duplicates_differ_in_case_and_signs_only():
    def key(question):
        return make_duplicate_key(
            Candidate(
                question=question,
                answer="x",
                set_name="open_ended",
                language="en",
                truths=({},),
                transcripts=("",),
            )
        )

    assert key("How fast?") == key("how  fast") != key("How loud?")


def make_utterance(language, rng, number):
    labels = {key: rng.choice(ACOUSTIC_LABELS[key]) for key in ACOUSTIC_LABELS}
    return {
        "id": str(number),
        "language": language,
        "transcript": "Aha, soso.",
        "labels": labels,
        "values": {"average_pitch": rng.uniform(90, 250)},
        "gender": rng.choice(["female", "male"]),
        "age_category": "twenties",
        "accent": "British",
        "words": [],
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_templates_are_without_fault(language):
    """Hundreds of true statements in the words of our labels: few may be dropped, and none for what
    it does not say."""
    rng, templates = random.Random(1), load_templates(language)
    utterances = [make_utterance(language, rng, number) for number in range(12)]
    faults, count = [], 0

    def check(items, set_name, sources):
        nonlocal count
        truths = tuple(
            source["labels"] | {key: source[key] for key in ("gender", "age_category", "accent")}
            for source in sources
        )
        for item in items:
            found = fault(
                item.question.replace("Aha, soso.", ""),
                item.answer,
                set_name=set_name,
                language=language,
                truths=truths,
                transcript="Aha, soso.",
            )
            count += 1
            # the templates guess at moods, as the paper does; a model is not to
            if found and found != "guesses a mood":
                faults.append(
                    json.dumps([set_name, found, item.question, item.answer], ensure_ascii=False)
                )

    for utterance in utterances:
        check(
            acoustic.make_items(utterance, templates, rng),
            "closed_ended/acoustic_level",
            [utterance],
        )
        check(open_ended.make_items(utterance, templates, rng), "open_ended", [utterance])
        spoken = generation.make_items(utterance, templates, rng, has_accents=True)
        check(spoken, "controllable_generation", [utterance])
    for pair in zip(utterances, utterances[1:], strict=False):
        check(comparison.make_items(pair, templates, rng), "closed_ended/comparison", pair)
    assert count > 300 and len(faults) <= 0.02 * count, "\n".join(faults)


@pytest.mark.parametrize("language, set_name, question, answer", GOOD_OF_A_WOMAN)
def test_what_only_reads_like_a_fault_is_kept(language, set_name, question, answer):
    said = {"set_name": set_name, "language": language, "truths": (WOMAN,), "transcript": STORY}
    assert fault(question, answer, **said) is None


@pytest.mark.parametrize("language, set_name, question, answer, name", BAD_OF_A_WOMAN)
def test_what_reads_much_like_it_and_is_a_fault_is_dropped(
    language, set_name, question, answer, name
):
    said = {"set_name": set_name, "language": language, "truths": (WOMAN,), "transcript": STORY}
    assert fault(question, answer, **said) == name
