"""How texts are said: numbers in five languages, signs, addresses, markup, and where one
breathes."""

import random

import pytest

from data_prep.synthesis.passages.number_words import (
    say_decimal,
    say_integer,
    say_ordinal,
    say_year,
)
from data_prep.synthesis.passages.spoken_text import say_text, split_sentences
from data_prep.synthesis.passages.strip_markup import is_prose, strip_markup

# as grammars have them
CARDINALS = {
    "en": {
        0: "zero",
        21: "twenty-one",
        100: "one hundred",
        1_000_001: "one million one",
        12_345: "twelve thousand three hundred forty-five",
    },
    "de": {
        1: "eins",
        21: "einundzwanzig",
        101: "einhunderteins",
        16_017: "sechzehntausendsiebzehn",
        1_000_000: "eine Million",
        21_000: "einundzwanzigtausend",
        2_000_000: "zwei Millionen",
    },
    "fr": {
        21: "vingt et un",
        71: "soixante et onze",
        80: "quatre-vingts",
        81: "quatre-vingt-un",
        99: "quatre-vingt-dix-neuf",
        200: "deux cents",
        201: "deux cent un",
        80_000: "quatre-vingt mille",
        1000: "mille",
    },
    "it": {
        21: "ventuno",
        28: "ventotto",
        33: "trentatré",
        101: "centouno",
        1000: "mille",
        2000: "duemila",
        1_000_000: "un milione",
    },
    "es": {
        16: "dieciséis",
        21: "veintiuno",
        31: "treinta y uno",
        100: "cien",
        101: "ciento uno",
        500: "quinientos",
        21_000: "veintiún mil",
        1_000_000: "un millón",
        2_100_000_000: "dos mil cien millones",
    },
}


@pytest.mark.parametrize("language", CARDINALS)
def test_numbers_as_grammars_have_them(language):
    assert {number: say_integer(number, language) for number in CARDINALS[language]} == CARDINALS[
        language
    ]


@pytest.mark.parametrize("language", CARDINALS)
def test_no_two_numbers_are_said_alike(language):
    numbers = [
        *range(2_200),
        10_000,
        11_000,
        100_000,
        101_000,
        10**6,
        10**6 + 1,
        2 * 10**6,
        10**9,
        10**12,
        10**14,
    ]
    said = [say_integer(number, language) for number in numbers]
    assert len(set(said)) == len(numbers) and not any(
        letter.isdigit() for text in said for letter in text
    )


def test_years_ordinals_and_decimals():
    assert [say_year(year, "en") for year in (1984, 1905, 1900, 2000, 2007, 2024)] == [
        "nineteen eighty-four",
        "nineteen oh five",
        "nineteen hundred",
        "two thousand",
        "two thousand seven",
        "twenty twenty-four",
    ]
    assert [say_ordinal(number, "en") for number in (1, 2, 3, 12, 20, 21, 102)] == [
        "first",
        "second",
        "third",
        "twelfth",
        "twentieth",
        "twenty-first",
        "one hundred second",
    ]
    assert [say_ordinal(number, "de") for number in (1, 3, 7, 19, 20)] == [
        "erste",
        "dritte",
        "siebte",
        "neunzehnte",
        "zwanzigste",
    ]
    assert [say_ordinal(number, "fr") for number in (1, 4, 5, 9, 21)] == [
        "premier",
        "quatrième",
        "cinquième",
        "neuvième",
        "vingt et unième",
    ]
    assert (
        say_decimal("3", "14", "en") == "three point one four"
        and say_decimal("3", "14", "fr") == ("trois virgule quatorze")
        and say_decimal("0", "05", "de") == "null Komma null fünf"
    )


SAID = [
    (
        "en",
        "It cost $1.5 million in 1984.",
        "It cost one point five million dollars in nineteen eighty-four.",
    ),
    (
        "en",
        "$1, $5.50, £3.01, 5 € and 50¢",
        "one dollar, five dollars fifty cents, three pounds one penny, five euros and fifty cents",
    ),
    (
        "en",
        "Dr. Lee ran 5 km in 20 min at -3.5°C.",
        (
            "Doctor Lee ran five kilometers in twenty minutes at minus three point five degrees "
            "Celsius."
        ),
    ),
    (
        "en",
        "Pages 10-20, 1990–1995",
        "Pages ten to twenty, nineteen ninety to nineteen ninety-five",
    ),
    (
        "en",
        "the 1990s, the 21st, 1/2 cup, 2/3",
        "the nineteen nineties, the twenty-first, one half cup, two thirds",
    ),
    ("en", "see www.example.org/a.", "see example dot org slash a."),
    ("en", "Mail me@home.com at 3:45 pm", "Mail me at home dot com at three forty-five P M"),
    ("en", "Call 555-123-4567", "Call five five five, one two three, four five six seven"),
    (
        "en",
        "1,234 > 7 & 50% 😀 → B2B",
        "one thousand two hundred thirty-four greater than seven and fifty percent to B two B",
    ),
    (
        "de",
        "Am 3. Mai kostete 1 km 1.234,50 € (z. B.).",
        (
            "Am dritte Mai kostete ein Kilometer eintausendzweihundertvierunddreißig Euro fünfzig "
            "Cent (zum Beispiel)."
        ),
    ),
    (
        "fr",
        "Le 1er mai, 3,5 km à 20 %",
        "Le premier mai, trois virgule cinq kilomètres à vingt pour cent",
    ),
    ("it", "21 km e 1 € al 100%", "ventuno chilometri e un euro al cento per cento"),
    ("es", "21 km y 5 € en EE. UU.", "veintiún kilómetros y cinco euros en Estados Unidos"),
]


@pytest.mark.parametrize("language, text, said", SAID)
def test_signs_and_units_are_said(language, text, said):
    assert say_text(text, language) == said


@pytest.mark.parametrize("language", CARDINALS)
def test_nothing_is_left_that_nobody_can_say(language):
    text = (
        "A 1 2.5 3,000 4/5 $6 7% 8° #9 @10 11:12 13-14 15k B16 17th 18. 0019 +20 =21 2026-11-28 "
        "1.2.3.4 99999999999999999999999 https://x.y/?z=1 ☃ ½ \u200b ∑ [22] {23} \\24 ~25 ^26 "
        "|27| 28² ٣ 二"
    )
    said = say_text(text, language)
    assert not any(
        letter.isdecimal() and letter.isascii() or letter in "$%°#@=+<>[]{}\\~^|☃∑²½"
        for letter in said
    )
    assert "  " not in said and say_text(said, language) == said


# what pages and tables leave in passages, glued together in any way
ODDITIES = (
    "0 1 12 1,234 1.5 .5 1990 1990s '90s 007 $ € £5 $1.2 million % km m/s °C / - – : . , ! ? ' \" "
    "( ) [ ] { } | <b> </b> &amp; &lt; ** == ==== {{x}} [[a|b]] [1] # a@b.c http://x.y/z?q=1 Dr. "
    "U.S. COVID-19 3:45pm 2/3 1.2.3 21st 3º word naïve 東京 ٠١ ² ½ 😀 \u200b \u00a0 \n ¿ « … x² 1e10 "
    "99999999999999999999 $$$ ±5 5' ½cup"
).split(" ")


def test_any_rubbish_is_said_or_left_out():
    rng = random.Random(0)
    for _ in range(300):
        text = "".join(
            rng.choice(ODDITIES) + rng.choice(("", " ", " ", "-", "."))
            for _ in range(rng.randrange(1, 25))
        )
        said = say_text(strip_markup(text), rng.choice(list(CARDINALS)))
        assert not any(letter.isdigit() or letter in "$%°#@=+<>[]{}|\n" for letter in said), text
        assert all(len(piece) <= 40 for piece in split_sentences(said, 40))


def test_markup_is_for_the_eye():
    assert (
        strip_markup("<p>See <b>Fig</b>. 2 [12] &amp;amp; [the map](http://a.b)</p>")
        == "See Fig. 2 & the map"
    )
    assert strip_markup("| City | People |\n|---|---|\n| Ulm | 126 |") == "City, People. Ulm, 126."
    assert strip_markup("== History ==\n* '''One''' [[Page|link]]{{cite}}\n* two<!-- no -->") == (
        "History. One link. two."
    )
    assert strip_markup("a < b and c > d") == "a < b and c > d"
    assert (
        is_prose("Ulm, 126.") is False and is_prose("In Ulm live 126 people") and not is_prose(" ")
    )


def test_sentences_are_cut_where_one_breathes():
    text = 'J. K. Lee wrote it. She is rich! "Really?" Yes, at 3.5 times.'
    assert split_sentences(text, 300) == [
        "J. K. Lee wrote it.",
        "She is rich!",
        '"Really?"',
        "Yes, at 3.5 times.",
    ]
    long = ", ".join(["one two three four"] * 40) + "; " + "word" * 200
    pieces = split_sentences(long, 100)
    assert max(map(len, pieces)) <= 100 and "".join("".join(pieces).split()) == "".join(
        long.split()
    )
    assert split_sentences(" … ", 100) == []
