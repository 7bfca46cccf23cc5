"""An utterance as text, for a decoder that cannot hear: the transcript and what was measured, in the
utterance's language.

    Below is what a recording holds. Answer as one who has listened to it, and …
    - spoken words: "Rain falls softly."
    - speaking rate: quite slowly
    …
                                                  ⏎⏎ and behind it the instruction
"""

from data_prep.instructions.llm.requests import Utterance, cap, list_labels
from data_prep.instructions.llm.wording import say_key, say_value

# raised when the same metadata give another text: answers of before are then not taken for these
VERSION = 1
_HEADS = {
    "en": "Below is what a recording holds. Answer as one who has listened to it: speak of the "
    "recording alone, never of this list, in one to three sentences.",
    "de": "Unten steht, was eine Aufnahme enthält. Antworte wie jemand, der sie angehört hat: "
    "Sprich allein von der Aufnahme, nie von dieser Liste, in ein bis drei Sätzen.",
    "fr": "Voici ce que contient un enregistrement. Réponds comme quelqu'un qui l'a écouté : ne "
    "parle que de l'enregistrement, jamais de cette liste, en une à trois phrases.",
    "it": "Qui sotto c'è ciò che contiene una registrazione. Rispondi come chi l'ha ascoltata: "
    "parla solo della registrazione, mai di questo elenco, in una, due o tre frasi.",
    "es": "Abajo está lo que contiene una grabación. Responde como quien la ha escuchado: habla "
    "solo de la grabación, nunca de esta lista, en una a tres frases.",
}


def describe(utterance: Utterance) -> str | None:
    """The text that stands for a recording; None where nothing is known of it but its language."""
    language = utterance["language"]
    lines = []
    if utterance["transcript"].strip():
        said = " ".join(cap(utterance["transcript"]).split())
        lines.append(f'- {say_key("transcript", language)}: "{said}"')
    for key, label in list_labels(utterance).items():
        lines.append(f"- {say_key(key, language)}: {say_value(key, label, language)}")
    if not lines:
        return None
    lines.append(f"- {say_key('language', language)}: {say_value('language', language, language)}")
    return "\n".join([_HEADS[language], *lines])


def write_prompt(description: str, instruction: str) -> str:
    """What the decoder is asked. The description comes first, so that all instructions about an
    utterance share it."""
    return f"{description}\n\n{instruction}"
