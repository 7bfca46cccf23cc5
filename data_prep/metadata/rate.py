"""Speaking rate: phones a second of speech.

"DH|AH| |R|EY|N" (5 phones), first word at 0.15 s, last word ends at 0.65 s  ─►  10 phones a second
"""


def count_phones(phonemes: str) -> int:
    """Phones of a |-joined string; the space tokens between words are none."""
    return sum(1 for phone in phonemes.split("|") if phone.strip())


def speaking_rate(phonemes: str, first_word: float, last_word: float) -> float | None:
    """Phones a second between the start of the first word and the end of the last."""
    count, seconds = count_phones(phonemes), last_word - first_word
    return count / seconds if count and seconds > 0.1 else None
