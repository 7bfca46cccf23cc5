"""Numbers in words, in five languages.

1984, "en" ─ say_integer ─►  "one thousand nine hundred eighty-four"      ─ say_year ─►  "nineteen eighty-four"
"3.50"     ─ say_decimal ─►  "three point five zero"                      21 ─ say_ordinal ─►  "twenty-first"
"""

from collections.abc import Callable

_EN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_EN_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_DE = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn "
    "fünfzehn sechzehn siebzehn achtzehn neunzehn"
).split()
_DE_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
_FR = (
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze "
    "seize dix-sept dix-huit dix-neuf"
).split()
_FR_TENS = "vingt trente quarante cinquante soixante".split()
_IT = (
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici "
    "quindici sedici diciassette diciotto diciannove"
).split()
_IT_TENS = "venti trenta quaranta cinquanta sessanta settanta ottanta novanta".split()
_ES = (
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
    "dieciséis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro "
    "veinticinco veintiséis veintisiete veintiocho veintinueve"
).split()
_ES_TENS = "treinta cuarenta cincuenta sesenta setenta ochenta noventa".split()
_ES_HUNDREDS = (
    "ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos "
    "novecientos"
).split()
# power of ten, one and many; Spanish counts the thousands of millions among the millions
_LARGE = {
    "en": ((12, "trillion", "trillion"), (9, "billion", "billion"), (6, "million", "million")),
    "de": (
        (12, "Billion", "Billionen"),
        (9, "Milliarde", "Milliarden"),
        (6, "Million", "Millionen"),
    ),
    "fr": ((12, "billion", "billions"), (9, "milliard", "milliards"), (6, "million", "millions")),
    "it": ((12, "bilione", "bilioni"), (9, "miliardo", "miliardi"), (6, "milione", "milioni")),
    "es": ((12, "billón", "billones"), (6, "millón", "millones")),
}
_ONE = {"en": "one", "de": "eine", "fr": "un", "it": "un", "es": "un"}
_POINTS = {"en": "point", "de": "Komma", "fr": "virgule", "it": "virgola", "es": "coma"}
_MINUS = {"en": "minus", "de": "minus", "fr": "moins", "it": "meno", "es": "menos"}
# Beyond it a number is told digit by digit.
_LARGEST = 10**15
_EN_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_DE_ORDINALS = {1: "erste", 3: "dritte", 7: "siebte", 8: "achte"}
_IT_ORDINALS = "primo secondo terzo quarto quinto sesto settimo ottavo nono decimo".split()
_ES_ORDINALS = "primero segundo tercero cuarto quinto sexto séptimo octavo noveno décimo".split()


def say_integer(number: int, language: str) -> str:
    """The cardinal number."""
    if number < 0:
        return f"{_MINUS[language]} {say_integer(-number, language)}"
    if number >= _LARGEST:
        return say_digits(str(number), language)
    below = _BELOW_MILLION[language]
    words, rest = [], number
    for power, one, many in _LARGE[language]:
        count, rest = divmod(rest, 10**power)
        if count:
            words.append(
                f"{_ONE[language]} {one}"
                if count == 1
                else f"{shorten(below(count), language)} {many}"
            )
    if rest or not words:
        words.append(below(rest))
    return " ".join(words)


def say_digits(digits: str, language: str) -> str:
    """Each digit by itself; what is none stands for nothing."""
    return " ".join(say_integer(int(digit), language) for digit in digits if digit.isdecimal())


def say_decimal(whole: str, fraction: str, language: str) -> str:
    """A number with digits behind the point: English tells them one by one, short ones of others
    are a number."""
    tail = fraction.lstrip("0")
    is_number = language in ("fr", "it", "es") and len(fraction) <= 2 and tail == fraction
    said = say_integer(int(fraction), language) if is_number else say_digits(fraction, language)
    return f"{say_integer(int(whole or 0), language)} {_POINTS[language]} {said}"


def say_year(year: int, language: str) -> str:
    """As a year is told: in pairs in English, in hundreds in German."""
    century, rest = divmod(year, 100)
    if language == "en" and 1100 <= year < 2100 and not 2000 <= year < 2010:
        tail = (
            "hundred" if not rest else f"oh {_EN[rest]}" if rest < 10 else say_integer(rest, "en")
        )
        return f"{say_integer(century, 'en')} {tail}"
    if language == "de" and 1100 <= year < 2000:
        return f"{say_integer(century, 'de')}hundert{say_integer(rest, 'de') if rest else ''}"
    return say_integer(year, language)


def say_ordinal(number: int, language: str) -> str:
    """The ordinal number; where a language has none that is short, the cardinal."""
    words = say_integer(number, language)
    if language == "en":
        head, dash, last = (
            words.rpartition("-") if "-" in words.rpartition(" ")[2] else words.rpartition(" ")
        )
        last = _EN_ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
        return f"{head}{dash}{last}"
    if language == "de":
        return _DE_ORDINALS.get(number) or words + ("te" if 1 < number % 100 < 20 else "ste")
    if language == "fr":
        if number == 1:
            return "premier"
        stem = words[:-1] if words.endswith("e") else words
        return (
            stem + "u"
            if words.endswith("cinq")
            else stem[:-1] + "v"
            if words.endswith("neuf")
            else stem
        ) + "ième"
    ordinals = _IT_ORDINALS if language == "it" else _ES_ORDINALS
    if 1 <= number <= 10:
        return ordinals[number - 1]
    if language == "it":
        return (words if words.endswith("tré") or words.endswith("sei") else words[:-1]).replace(
            "tré", "tre"
        ) + "esimo"
    return words


def shorten(words: str, language: str) -> str:
    """A count before a noun: vingt et un stays, veintiuno and eins do not."""
    if language == "es" and words.endswith("uno"):
        return words[:-3] + ("ún" if words.endswith("veintiuno") else "un")
    if language == "it" and words == "uno":
        return "un"
    return words[:-1] if language == "de" and words.endswith("eins") else words


def _below_million_en(number: int) -> str:
    thousands, rest = divmod(number, 1000)
    words = [f"{_below_million_en(thousands)} thousand"] if thousands else []
    hundreds, rest = divmod(rest, 100)
    words += [f"{_EN[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        words.append(_EN_TENS[rest // 10 - 2] + (f"-{_EN[rest % 10]}" if rest % 10 else ""))
    elif rest or not words:
        words.append(_EN[rest])
    return " ".join(words)


def _below_million_de(number: int) -> str:
    thousands, rest = divmod(number, 1000)
    head = (
        ("ein" if thousands == 1 else _below_million_de(thousands)) + "tausend" if thousands else ""
    )
    # einhunderttausend, hunderteintausend
    head = head.replace("einstausend", "eintausend")
    hundreds, rest = divmod(rest, 100)
    head += ("ein" if hundreds == 1 else _DE[hundreds]) + "hundert" if hundreds else ""
    if rest >= 20:
        unit = rest % 10
        return (
            head
            + (("ein" if unit == 1 else _DE[unit]) + "und" if unit else "")
            + _DE_TENS[rest // 10 - 2]
        )
    return head + (_DE[rest] if rest or not head else "")


def _below_million_fr(number: int) -> str:
    thousands, rest = divmod(number, 1000)
    words = []
    if thousands:
        # neither quatre-vingts nor deux-cents keeps its s before mille
        count = "" if thousands == 1 else _below_million_fr(thousands)
        count = count[:-1] if count.endswith(("vingts", "cents")) else count
        words.append(f"{count} mille".strip())
    hundreds, rest = divmod(rest, 100)
    if hundreds:
        words.append("cent" if hundreds == 1 else f"{_FR[hundreds]} cent" + ("" if rest else "s"))
    if rest or not words:
        words.append(_below_hundred_fr(rest))
    return " ".join(words)


def _below_hundred_fr(number: int) -> str:
    if number < 20:
        return _FR[number]
    if number >= 80:
        return "quatre-vingts" if number == 80 else f"quatre-vingt-{_FR[number - 80]}"
    tens = min(number // 10, 6)
    unit = number - 10 * tens
    word = _FR_TENS[tens - 2]
    return (
        word if not unit else f"{word} et {_FR[unit]}" if unit in (1, 11) else f"{word}-{_FR[unit]}"
    )


def _below_million_it(number: int) -> str:
    thousands, rest = divmod(number, 1000)
    head = (
        "mille" if thousands == 1 else _below_thousand_it(thousands) + "mila" if thousands else ""
    )
    head = head.replace("tré", "tre")
    return head + (_below_thousand_it(rest) if rest or not head else "")


def _below_thousand_it(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    head = ("" if hundreds == 1 else _IT[hundreds]) + "cento" if hundreds else ""
    if rest < 20:
        return head + (_IT[rest] if rest or not head else "")
    unit, tens = rest % 10, _IT_TENS[rest // 10 - 2]
    if unit in (1, 8):
        tens = tens[:-1]
    return head + tens + ("" if not unit else "tré" if unit == 3 else _IT[unit])


def _below_million_es(number: int) -> str:
    thousands, rest = divmod(number, 1000)
    words = []
    if thousands:
        words.append(
            "mil" if thousands == 1 else f"{shorten(_below_thousand_es(thousands), 'es')} mil"
        )
    if rest or not words:
        words.append(_below_thousand_es(rest))
    return " ".join(words)


def _below_thousand_es(number: int) -> str:
    if number == 100:
        return "cien"
    hundreds, rest = divmod(number, 100)
    words = [_ES_HUNDREDS[hundreds - 1]] if hundreds else []
    if rest >= 30:
        words.append(_ES_TENS[rest // 10 - 3] + (f" y {_ES[rest % 10]}" if rest % 10 else ""))
    elif rest or not words:
        words.append(_ES[rest])
    return " ".join(words)


_BELOW_MILLION: dict[str, Callable[[int], str]] = {
    "en": _below_million_en,
    "de": _below_million_de,
    "fr": _below_million_fr,
    "it": _below_million_it,
    "es": _below_million_es,
}
