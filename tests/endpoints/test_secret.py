"""A key is seen by the wire alone: whole, in part, escaped, across a cut, and in addresses."""

import pytest

from sift_jax.endpoints.secret import Secret, check_address

KEY = "sk-live-0123456789abcdefghijklmnop"


@pytest.mark.parametrize(
    "text, scrubbed",
    [
        (f"auth=Bearer {KEY}, 401", "auth=Bearer ***, 401"),
        # what is left of a key that was cut off, at either end
        (f"auth=Bearer {KEY[:15]}", "auth=Bearer ***"),
        (f"{KEY[-9:]} is unknown", "*** is unknown"),
        # a key whose middle the server itself masks
        (f"bad key {KEY[:9]}xxxx{KEY[-9:]}!", "bad key ***xxxx***!"),
        ('{"error": "sk\\u002dlive\\u002d0123456789abcdefghijklmnop"}', '{"error": "***"}'),
        # each letter by its number, also in JSON within JSON, in an address and in HTML
        ("".join(f"\\u{ord(letter):04x}" for letter in KEY) + ".", "***."),
        ('{"a": "sk\\\\u002dlive-0123456789"}', '{"a": "***"}'),
        ("?key=sk%2Dlive%2D0123456789abc&b=1", "?key=***&b=1"),
        ("<p>sk&#x2d;live&#45;0123456789abc</p>", "<p>***</p>"),
        # seven letters may be a word
        ("sk-live is a prefix", "sk-live is a prefix"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_a_key_and_its_pieces_are_masked(text, scrubbed):
    assert Secret(KEY).scrub(text) == scrubbed


def test_a_key_that_looks_escaped_is_masked_as_it_is():
    assert Secret("ab%41cd%42ef").scrub("x ab%41cd%42ef y") == "x *** y"


@pytest.mark.parametrize(
    "url, message",
    [
        ("https://host/v1?api-key=abc", r"holds api-key=…; put the key into \$A_KEY"),
        ("https://host/v1?a=1&access_token=abc", "holds access_token"),
        ("https://host/v1#key=abc", "holds key"),
        ("https://me:abc@host/v1", "a user or a password"),
        ("host:8000", "no http address"),
    ],
)
def test_an_address_holds_no_key(url, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_address(url, "A_KEY")
    assert "abc" not in str(caught.value)


def test_an_address_may_have_a_query_without_a_key():
    check_address("https://host/v1?api-version=2024-10-21", "A_KEY")
