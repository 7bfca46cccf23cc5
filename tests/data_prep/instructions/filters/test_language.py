"""Which language a text is in: texts that the counts have not seen."""

import pytest

from data_prep.instructions.filters.language_id import is_in_language
from sift_jax.sift.labels import LANGUAGES

UNSEEN = {
    "en": [
        "The woman seems to be reading a letter aloud, and her pace hardly changes.",
        "Yes, it rises at the end.",
        "Could you describe the mood of whoever is talking here?",
        "He stresses every second syllable.",
        "Probably a small kitchen, since one can hear a short echo.",
        "It would suit a bedtime story.",
    ],
    "de": [
        "Die Frau liest offenbar einen Brief vor, und ihr Tempo ändert sich kaum.",
        "Ja, am Ende geht sie hinauf.",
        "Könntest du beschreiben, in welcher Stimmung hier jemand redet?",
        "Er betont jede zweite Silbe.",
        "Vermutlich eine kleine Küche, denn man hört ein kurzes Echo.",
        "Das würde zu einem Märchen passen.",
    ],
    "fr": [
        "La dame semble lire une lettre, et son rythme ne change guère.",
        "Oui, elle monte vers la fin.",
        "Pourrais-tu décrire l'humeur de celui qui s'exprime ici ?",
        "Il accentue une syllabe sur deux.",
        "Sans doute une petite cuisine, car on entend un bref écho.",
        "Cela conviendrait à un conte du soir.",
    ],
    "it": [
        "La signora sembra leggere una lettera, e il suo ritmo cambia appena.",
        "Sì, verso la fine sale.",
        "Potresti descrivere l'umore di chi si esprime qui?",
        "Accentua una sillaba ogni due.",
        "Probabilmente una piccola cucina, perché si sente una breve eco.",
        "Andrebbe bene per una fiaba.",
    ],
    "es": [
        "La señora parece leer una carta, y su ritmo apenas cambia.",
        "Sí, sube hacia el final.",
        "¿Podrías describir el ánimo de quien se expresa aquí?",
        "Acentúa una de cada dos sílabas.",
        "Seguramente una cocina pequeña, pues se oye un breve eco.",
        "Serviría para un cuento de noche.",
    ],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_in_their_language_and_in_no_other(language):
    for text in UNSEEN[language]:
        assert [other for other in LANGUAGES if is_in_language(text, other)] == [language], text


FOREIGN = [
    "Да, она говорит быстро.",
    "はい、とても速いです。",
    "是的，她说得很快。",
    "Ναι, πολύ γρήγορα.",
]


@pytest.mark.parametrize("text", FOREIGN)
def test_other_scripts_are_no_language_of_ours(text):
    assert not any(is_in_language(text, language) for language in LANGUAGES)


def test_short_texts_and_quotations_tell_nothing():
    for text in (
        "",
        "No.",
        "1, 2, 3!",
        "OK",
        "Mann",
        'It is "wie schnell er doch spricht, der Mann".',
        "s|p|iː|tʃ",
    ):
        assert is_in_language(text, "en"), text
    assert is_in_language("The speaker says “quanto parla veloce questa persona”.", "en")
