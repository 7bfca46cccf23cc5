"""IFEval's instructions as rules: whether an answer keeps to what its request asks of its form.

    'length_constraints:number_words {"num_words": 50, "relation": "at least"}'     a rule: IFEval's name, its arguments
    rules of a request, answer ─► [strict all, loose all, strict, loose, 1, rules]  ─► the mean of four shares

The figure is VoiceBench's: the mean of the shares of requests of which all rules are kept, and of
rules kept, each strictly and loosely. Loosely means by the answer, or by it without its first line,
its last line, both, and each of these without asterisks. An empty answer keeps no rule.

The rules are of our own making after IFEval's definitions. Three are close, not the same: sentences
end at . ! ? before a space (IFEval asks NLTK), words in capitals are runs of letters (NLTK's tokens
there), and whether an answer is in English, German, French, Italian or Spanish is told by the
commonest words. Another language has no rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sift_jax.evaluation.scores.constraints import COMMON_WORDS, is_followed
from sift_jax.evaluation.scores.schema import Item

Arguments = Mapping[str, Any]
_POSTSCRIPTS = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}
_CLOSED_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_FENCE = re.compile(r"\A```(?:json)?(.*?)(?:```)?\Z", re.DOTALL | re.IGNORECASE)


def write_rule(name: str, arguments: Arguments) -> str:
    """A rule as text. ValueError where it is none that can be decided here."""
    given = {key: value for key, value in arguments.items() if value}
    if name not in _RULES:
        raise ValueError(f"no rule for {name}")
    needed, _ = _RULES[name]
    if missing := [key for key in needed if key not in given]:
        raise ValueError(f"{name} without {' and '.join(missing)}")
    if name == "language:response_language" and given["language"] not in COMMON_WORDS:
        raise ValueError(f"no rule for answers in {given['language']!r}")
    kept = {key: given[key] for key in needed}
    return f"{name} {json.dumps(kept, ensure_ascii=False)}" if kept else name


def is_kept(rule: str, answer: str) -> bool:
    """Whether an answer keeps to one rule, strictly."""
    name, _, arguments = rule.partition(" ")
    _, check = _RULES[name]
    return bool(answer.strip()) and check(answer, json.loads(arguments or "{}"))


def count_kept(item: Item, answer: str) -> list[float]:
    """What the figure of some items is made of; the item's references are its rules."""
    strict = [is_kept(rule, answer) for rule in item.references]
    versions = _loosen(answer)
    loose = [any(is_kept(rule, text) for text in versions) for rule in item.references]
    counts = [all(strict), all(loose), sum(strict), sum(loose), 1, len(strict)]
    return [float(count) for count in counts]


def make_ifeval(sums: np.ndarray) -> np.ndarray:
    """The mean of the four shares."""
    with np.errstate(divide="ignore", invalid="ignore"):
        requests = (sums[..., 0] + sums[..., 1]) / sums[..., 4]
        rules = (sums[..., 2] + sums[..., 3]) / sums[..., 5]
    return (requests + rules) / 4


def explain_kept(item: Item, answer: str) -> str:
    """The rules that are broken, in words for a reader."""
    broken = [rule.partition(" ")[0] for rule in item.references if not is_kept(rule, answer)]
    return f"breaks {', '.join(broken)}" if broken else "keeps to all"


def _loosen(answer: str) -> list[str]:
    lines = answer.split("\n")
    cut = (answer, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])))
    return [*cut, *(text.replace("*", "") for text in cut)]


def _compares(count: int, relation: str, bound: int) -> bool:
    return count < bound if relation == "less than" else count >= bound


def _has_keywords(text: str, given: Arguments) -> bool:
    return all(word.lower() in text.lower() for word in given["keywords"])


def _has_keyword_so_often(text: str, given: Arguments) -> bool:
    count = text.lower().count(given["keyword"].lower())
    return _compares(count, given["relation"], given["frequency"])


def _has_no_forbidden_word(text: str, given: Arguments) -> bool:
    words = "|".join(map(re.escape, given["forbidden_words"]))
    return not re.search(rf"\b(?:{words})\b", text, re.IGNORECASE)


def _has_letter_so_often(text: str, given: Arguments) -> bool:
    count = text.lower().count(given["letter"])
    return _compares(count, given["let_relation"], given["let_frequency"])


def _has_sentences(text: str, given: Arguments) -> bool:
    # what is behind the last mark is a sentence, too
    sentences = [part for part in re.split(r"(?<=[.!?])[\"')\]]*\s+", text) if part.strip()]
    return _compares(len(sentences), given["relation"], given["num_sentences"])


def _has_words(text: str, given: Arguments) -> bool:
    return _compares(len(re.findall(r"\w+", text)), given["relation"], given["num_words"])


def _has_starred_paragraphs(text: str, given: Arguments) -> bool:
    """Paragraphs that are set off by ***; an empty one is none at either end, and a fault within."""
    paragraphs = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    inner = paragraphs[1:-1]
    ends = [paragraphs[0], *paragraphs[1:][-1:]]
    return all(inner) and len(inner) + sum(map(bool, ends)) == given["num_paragraphs"]


def _has_first_word(text: str, given: Arguments) -> bool:
    """So many paragraphs, set off by blank lines, and the given one begins with the given word."""
    paragraphs, place = text.split("\n\n"), given["nth_paragraph"]
    count = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if count != given["num_paragraphs"] or place > count or not paragraphs[place - 1].strip():
        return False
    first = paragraphs[place - 1].split()[0].lstrip("'").lstrip('"')
    return re.split(r"[.,?!'\"]", first)[0].lower() == given["first_word"].lower()


def _has_bullets(text: str, given: Arguments) -> bool:
    return len(re.findall(r"^\s*(?:\*[^*]|-)", text, re.MULTILINE)) == given["num_bullets"]


def _has_highlights(text: str, given: Arguments) -> bool:
    """*so*, and **so**, of which IFEval counts the asterisks on either side apart."""
    single = [part for part in re.findall(r"\*[^\n*]*\*", text) if part.strip("*").strip()]
    double = [part for part in re.findall(r"\*\*[^\n*]*\*\*", text) if part.strip("*").strip()]
    return len(single) + len(double) >= given["num_highlights"]


def _has_sections(text: str, given: Arguments) -> bool:
    found = re.findall(rf"{re.escape(given['section_spliter'])}\s?\d+", text)
    return len(found) >= given["num_sections"]


def _has_postscript(text: str, given: Arguments) -> bool:
    marker = given["postscript_marker"]
    return bool(re.search(_POSTSCRIPTS.get(marker, re.escape(marker.lower())), text.lower()))


def _is_json(text: str, _given: Arguments) -> bool:
    fenced = _FENCE.match(text.strip())
    try:
        json.loads(fenced[1] if fenced else text)
    except ValueError:
        return False
    return True


def _has_two_responses(text: str, _given: Arguments) -> bool:
    parts = [part.strip() for part in text.split("******")]
    said = [part for part in parts if part]
    return all(parts[1:-1]) and len(said) == 2 and said[0] != said[1]


def _repeats_the_request(text: str, given: Arguments) -> bool:
    said, asked = (" ".join(words.lower().split()) for words in (text, given["prompt_to_repeat"]))
    return said.startswith(asked)


def _ends_so(text: str, given: Arguments) -> bool:
    return text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())


def _is_quoted(text: str, _given: Arguments) -> bool:
    stripped = text.strip()
    return len(stripped) > 1 and stripped[0] == stripped[-1] == '"'


def _has_title(text: str, _given: Arguments) -> bool:
    return any(title.strip("<>").strip() for title in re.findall(r"<<[^\n]+>>", text))


def _has_capital_words(text: str, given: Arguments) -> bool:
    count = sum(word.isupper() for word in re.findall(r"[^\W\d_]+", text))
    return _compares(count, given["capital_relation"], given["capital_frequency"])


def _is_not_of_another_language(text: str) -> bool:
    return is_followed("language:en", "en", text) is not False


# the rule's name → the arguments that it needs, and who decides
_RULES: dict[str, tuple[tuple[str, ...], Callable[[str, Arguments], bool]]] = {
    "keywords:existence": (("keywords",), _has_keywords),
    "keywords:frequency": (("keyword", "frequency", "relation"), _has_keyword_so_often),
    "keywords:forbidden_words": (("forbidden_words",), _has_no_forbidden_word),
    "keywords:letter_frequency": (
        ("letter", "let_frequency", "let_relation"),
        _has_letter_so_often,
    ),
    "language:response_language": (
        ("language",),
        lambda text, given: bool(is_followed(f"language:{given['language']}", "en", text)),
    ),
    "length_constraints:number_sentences": (("num_sentences", "relation"), _has_sentences),
    "length_constraints:number_paragraphs": (("num_paragraphs",), _has_starred_paragraphs),
    "length_constraints:number_words": (("num_words", "relation"), _has_words),
    "length_constraints:nth_paragraph_first_word": (
        ("num_paragraphs", "nth_paragraph", "first_word"),
        _has_first_word,
    ),
    "detectable_content:number_placeholders": (
        ("num_placeholders",),
        lambda text, given: len(re.findall(r"\[.*?\]", text)) >= given["num_placeholders"],
    ),
    "detectable_content:postscript": (("postscript_marker",), _has_postscript),
    "detectable_format:number_bullet_lists": (("num_bullets",), _has_bullets),
    "detectable_format:constrained_response": (
        (),
        lambda text, _: any(answer in text for answer in _CLOSED_ANSWERS),
    ),
    "detectable_format:number_highlighted_sections": (("num_highlights",), _has_highlights),
    "detectable_format:multiple_sections": (("section_spliter", "num_sections"), _has_sections),
    "detectable_format:json_format": ((), _is_json),
    "detectable_format:title": ((), _has_title),
    "combination:two_responses": ((), _has_two_responses),
    "combination:repeat_prompt": (("prompt_to_repeat",), _repeats_the_request),
    "startend:end_checker": (("end_phrase",), _ends_so),
    "startend:quotation": ((), _is_quoted),
    "change_case:capital_word_frequency": (
        ("capital_frequency", "capital_relation"),
        _has_capital_words,
    ),
    "change_case:english_capital": (
        (),
        lambda text, _: text.isupper() and _is_not_of_another_language(text),
    ),
    "change_case:english_lowercase": (
        (),
        lambda text, _: text.islower() and _is_not_of_another_language(text),
    ),
    "punctuation:no_comma": ((), lambda text, _: "," not in text),
}
