"""Which of the five languages a text is in, told by its words and runs of three letters.

    "Wie schnell spricht sie?"  ─►  {"de": 0.0, "en": -31.2, …}     log-likelihoods, the best at 0

The counts come from what the package holds anyway: the sentences of the embedded corpus, the
templates of the instructions, and a list of frequent words. Texts in other scripts are in none of
the five.
"""

import collections
import functools
import math
import re
import unicodedata
from pathlib import Path
from typing import Any

from data_prep.instructions.templates import load_templates
from sift_jax.sift.labels import LANGUAGES

# read here: the corpus's own reader comes with all that synthesizes it
_SENTENCES = Path(__file__).parents[2] / "embedded" / "sentences"
_FREQUENT = {
    "en": "the of and a to in is you that it he was for on are as with his they i at be this have "
    "from or one had by word but not what all were we when your can said there use an each which "
    "she do how their if will up other about out many then them these so some her would make like "
    "him into time has look two more very been who its now people my over down only way find may "
    "could than first any speaker sounds quite",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch "
    "es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so "
    "zum war haben nur oder aber vor zur bis mehr durch man sein wurde sei hatte kann gegen vom "
    "können schon wenn habe seine ihre dann unter wir soll ich eines jahr zwei diese dieser "
    "wieder keine seiner worden will zwischen immer was sagte stimme klingt sehr",
    "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce "
    "il sont avec son sa cette ou mais comme on tout nous je elle fait être deux même aussi leur "
    "bien peut ces sans si avait était ont entre après ses été très où vous lui dont peu c'est "
    "d'une qu'il n'est quel quelle voix personne parle ton enregistrement assez aux encore",
    "it": "di e il la che in a un è per una non sono del le da si con i della nel ha dei come al "
    "più lo anche alla o ma gli se delle dal nella sua suo questo questa ci sul cui essere tra "
    "quando molto stato chi dove era hanno perché poi tutti due così fra ai loro dopo ancora qual "
    "quale voce persona parla tono registrazione piuttosto abbastanza suona degli dalla",
    "es": "de la que el en y a los se del las un por con no una su para es al lo como más o pero "
    "sus le ha me si sin sobre este ya entre cuando todo esta ser son dos también fue había era "
    "muy años hasta desde está mi porque qué sólo han yo hay vez puede todos así nos ni parte "
    "tiene él uno donde bien cuál voz persona habla tono grabación bastante suena cómo esa",
}
_FREQUENT_COUNT = 5
_QUOTED = re.compile(r'"[^"]*"|«[^»]*»|“[^”]*”|„[^“”]*[“”]|\{[^}]*\}')
_SMOOTHING = 0.1
# Of more letters than this share in another script, a text is in none of the languages.
_FOREIGN_SHARE = 0.3
# Below, most texts read well in two languages.
_LEAST_LETTERS = 12
# Log-likelihood by which another language must be better.
_MARGIN = 8.0


def is_in_language(text: str, language: str) -> bool:
    """Whether a text can be in a language; a text too short to tell can. What it quotes is left
    out."""
    text = _QUOTED.sub(" ", text)
    letters = [letter for letter in text if letter.isalpha()]
    foreign = sum("LATIN" not in unicodedata.name(letter, "") for letter in letters)
    if foreign > _FOREIGN_SHARE * len(letters):
        return False
    if len(letters) < _LEAST_LETTERS:
        return True
    return score_languages(text)[language] > -_MARGIN


def list_frequent_words(language: str) -> frozenset[str]:
    """The commonest words of a language: enough for a first look, which is much faster than the
    scores."""
    return frozenset(_FREQUENT[language].split())


def score_languages(text: str) -> dict[str, float]:
    """The log-likelihood of each language against the best."""
    tables, floor = _count_features()
    features = _list_features(text)
    scores = {
        language: sum(table.get(feature, floor[language]) for feature in features)
        for language, table in tables.items()
    }
    best = max(scores.values())
    return {language: score - best for language, score in scores.items()}


def _list_features(text: str) -> list[str]:
    words = re.findall(
        r"[^\W\d_]+(?:'[^\W\d_]*)?", unicodedata.normalize("NFC", text).replace("’", "'").lower()
    )
    triples = [f"_{word}_"[place : place + 3] for word in words for place in range(len(word))]
    return [*(f"={word}" for word in words), *triples]


@functools.cache
def _count_features() -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    counts = {}
    for language in LANGUAGES:
        lines = (_SENTENCES / f"{language}.tsv").read_text(encoding="utf-8").splitlines()[1:]
        texts = [line.partition("\t")[2] for line in lines]
        texts += _list_texts(load_templates(language)) + [_FREQUENT[language]] * _FREQUENT_COUNT
        counts[language] = collections.Counter(
            feature for text in texts for feature in _list_features(text)
        )
    kinds = len(set().union(*counts.values()))
    totals = {
        language: math.log(counter.total() + _SMOOTHING * kinds)
        for language, counter in counts.items()
    }
    tables = {
        language: {
            feature: math.log(count + _SMOOTHING) - totals[language]
            for feature, count in counter.items()
        }
        for language, counter in counts.items()
    }
    return tables, {language: math.log(_SMOOTHING) - total for language, total in totals.items()}


def _list_texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _list_texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _list_texts(item)]
    return [_QUOTED.sub(" ", value)] if isinstance(value, str) else []
