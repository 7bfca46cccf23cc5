"""The words in which metadata is shown to a language model: keys and values, phrase by phrase, in
five languages.

    average_pitch, "quite low pitch"  ── "de" ─►  "mittlere Tonhöhe": "in ziemlich tiefer Tonlage"

Values are said by `sift_jax.sift.labels`.
"""

from data_prep.instructions.llm.instruction_sets import MARKED_KEYS
from sift_jax.sift.labels import (
    ACCENTS,
    LABELS,
    LANGUAGE_NAMES,
    LANGUAGES,
    name_label,
    write_phrase,
)

# in the order of LANGUAGES: en, de, fr, it, es
_KEYS = {
    "average_pitch": (
        "average pitch",
        "mittlere Tonhöhe",
        "hauteur moyenne de la voix",
        "altezza media della voce",
        "altura media de la voz",
    ),
    "pitch_variation": ("intonation", "Betonung", "intonation", "intonazione", "entonación"),
    "speaking_rate": (
        "speaking rate",
        "Sprechtempo",
        "débit de parole",
        "velocità del parlato",
        "velocidad del habla",
    ),
    "average_intensity": (
        "loudness",
        "Lautstärke",
        "volume de la voix",
        "volume della voce",
        "volumen de la voz",
    ),
    "noise_level": (
        "background noise",
        "Hintergrundgeräusche",
        "bruit de fond",
        "rumore di fondo",
        "ruido de la grabación",
    ),
    "reverberation": (
        "distance of the voice",
        "Entfernung der Stimme",
        "distance de la voix",
        "distanza della voce",
        "distancia de la voz",
    ),
    "distortion_level": ("distortion", "Verzerrung", "distorsion", "distorsione", "distorsión"),
    "speech_quality": (
        "speech quality",
        "Sprachqualität",
        "qualité du son",
        "qualità del parlato",
        "calidad del sonido",
    ),
    "gender": ("gender", "Geschlecht", "sexe", "sesso", "sexo"),
    "age_category": ("age", "Alter", "âge", "età", "edad"),
    "accent": ("accent", "Akzent", "accent", "accento", "acento"),
    "language": ("language", "Sprache", "langue", "lingua", "idioma"),
    "transcript": (
        "spoken words",
        "gesprochene Worte",
        "paroles",
        "parole pronunciate",
        "palabras pronunciadas",
    ),
    "phonemes": ("phonemes", "Phoneme", "phonèmes", "fonemi", "fonemas"),
    "words": ("words", "Wörter", "mots", "parole", "palabras"),
    "word": ("word", "Wort", "mot", "parola", "palabra"),
    "position": ("position", "Stelle", "position", "posizione", "posición"),
    # a word's pitch and loudness are told against the clip's own; short, for they stand at every
    # word
    "pitch": ("semitones", "Halbtöne", "demi-tons", "semitoni", "semitonos"),
    "intensity": ("dB", "dB", "dB", "dB", "dB"),
    "pitch_contour": (
        "pitch from the first half to the second",
        "Tonhöhe von der ersten Hälfte zur zweiten",
        "hauteur de la première moitié à la seconde",
        "altezza dalla prima metà alla seconda",
        "altura de la primera mitad a la segunda",
    ),
    "intensity_contour": (
        "loudness from the first half to the second",
        "Lautstärke von der ersten Hälfte zur zweiten",
        "volume de la première moitié à la seconde",
        "volume dalla prima metà alla seconda",
        "volumen de la primera mitad a la segunda",
    ),
    "highest_word": (
        "where the highest word stands",
        "wo das am höchsten gesprochene Wort steht",
        "où se trouve le mot le plus aigu",
        "dove sta la parola più acuta",
        "dónde está la palabra de tono más agudo",
    ),
    "loudest_word": (
        "where the loudest word stands",
        "wo das lauteste Wort steht",
        "où se trouve le mot le plus fort",
        "dove sta la parola detta più forte",
        "dónde está la palabra que suena más fuerte",
    ),
    "start": ("start", "Anfang", "début", "inizio", "comienzo"),
    "end": ("end", "Ende", "fin", "fine", "final"),
    "duration": (
        "duration in seconds",
        "Dauer in Sekunden",
        "durée en secondes",
        "durata in secondi",
        "duración en segundos",
    ),
    "first": (
        "first recording",
        "erste Aufnahme",
        "premier enregistrement",
        "prima registrazione",
        "primera grabación",
    ),
    "second": (
        "second recording",
        "zweite Aufnahme",
        "second enregistrement",
        "seconda registrazione",
        "segunda grabación",
    ),
    "differs": (
        "they differ in",
        "sie unterscheiden sich in",
        "ils diffèrent par",
        "differiscono per",
        "se diferencian en",
    ),
}


def say_key(key: str, language: str) -> str:
    return _KEYS[key][LANGUAGES.index(language)]


def say_value(key: str, label: str, language: str) -> str:
    """A label in a language; an accent that only its corpus knows stays as it is."""
    if key == "language":
        return name_label("language", LANGUAGE_NAMES[label], language)
    if key == "accent" and label not in ACCENTS:
        return label
    if key == "age_category":
        return write_phrase(key, label, language)
    return name_label("position" if key in MARKED_KEYS else key, label, language)


def is_label(key: str, label: object) -> bool:
    """Whether a label can be said in all languages."""
    return isinstance(label, str) and (key == "accent" or label in LABELS.get(key, ()))
