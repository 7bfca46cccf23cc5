"""Lines broken in a thousand ways: each is a row or has a fault, and whatever reads them goes on to
the next."""

import json
import random

import pytest
from release import TEXTS, make_row, write_lines

from data_prep.convert import main as convert
from data_prep.released.audio_roots import AudioRoots
from data_prep.released.join import Join, list_usable_places
from data_prep.validate import validate

LINES = 1000
ODD = [
    None,
    True,
    -1,
    1.5,
    "",
    " ",
    "\0",
    "../../etc/passwd",
    "\ud800",
    "x" * 5000,
    [],
    {},
    [[]],
    {"text": "a"},
    "NaN",
]


def break_line(rng: random.Random) -> bytes:
    """A good row, hurt once: a value replaced anywhere in it, or its bytes cut, doubled, or
    changed."""
    row = make_row(f"p234_{rng.randrange(400)}", "vctk_en", is_text_first=rng.random() < 0.5)
    if rng.random() < 0.6:
        spot = row
        while True:
            key = rng.choice(list(spot) if isinstance(spot, dict) else range(len(spot)))
            if isinstance(spot[key], dict | list) and spot[key] and rng.random() < 0.7:
                spot = spot[key]
                continue
            break
        if isinstance(spot, dict) and rng.random() < 0.2:
            del spot[key]
        else:
            spot[key] = rng.choice(ODD)
        return json.dumps(row).encode()
    line = bytearray(json.dumps(row, ensure_ascii=rng.random() < 0.5).encode())
    place = rng.randrange(len(line))
    how = rng.randrange(4)
    if how == 0:
        del line[place:]
    elif how == 1:
        line[place] = rng.choice([x for x in range(256) if x != 10])
    elif how == 2:
        line[place:place] = line[:place]
    else:
        line = bytearray(b"[" * rng.randrange(1, 3000)) + line
    return bytes(line)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    rng, root = random.Random(5), tmp_path_factory.mktemp("broken")
    lines = [break_line(rng) for _ in range(LINES)]
    write_lines(root, "train/open_ended/en", [line for line in lines if line.strip()])
    write_lines(
        root, "train/open_ended/fr", [make_row("11_21_000000", "multilingual_librispeech_fr")]
    )
    return root, sum(bool(line.strip()) for line in lines)


def test_every_line_is_a_row_or_a_fault(broken):
    root, count = broken
    total, shown = validate(root, None, limit=10**6, workers=1)
    unread = sum(
        total.kinds[kind]
        for kind in ("not UTF-8", "not JSON", "not a row", "unknown role", "too long")
    )
    assert total.rows + unread == count + 1 and unread > count / 3
    assert {"empty text", "id and audio differ", "repeated row"} <= total.kinds.keys()
    assert len(shown) == total.kinds.total() and all(
        "\n" not in line and "; " in line for line in shown
    )


def test_joining_goes_on_and_loses_nothing(broken, tmp_path):
    root, count = broken
    (tmp_path / "audio").mkdir()
    for number in range(0, 400, 2):
        (tmp_path / "audio" / f"p234_{number}.wav").touch()
    with (tmp_path / "rejected.jsonl").open("w", encoding="utf-8") as rejected:
        joiner = Join(
            list_usable_places(root), AudioRoots([(None, tmp_path / "audio")]), tmp_path, rejected
        )
        turns = sum(len(found) for _, found in joiner.group(root, "train", "en").items())
    lines = [
        json.loads(line)
        for line in (tmp_path / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert turns == joiner.account.joined.total() > 20
    assert turns + sum(line["rows"] for line in lines) == joiner.account.entered.total() == count
    assert all(line["reason"] and line["line"] for line in lines)


def test_converting_goes_on_and_loses_nothing(broken, tmp_path, capsys):
    root, count = broken
    convert(["--from=sift", "--to=ms_swift", f"--sift={root}", f"--out={tmp_path / 'there'}"])
    convert(
        [
            "--from=ms_swift",
            "--to=sift",
            f"--chat={tmp_path / 'there'}",
            f"--out={tmp_path / 'back'}",
        ]
    )
    there, back = (line.replace(",", "").split() for line in capsys.readouterr().out.splitlines())
    assert (
        int(there[0]) == count + 1 == int(there[3]) + int(there[5])
        and back[0] == back[3] == there[3]
    )
    assert TEXTS["fr"][0] in (tmp_path / "back/train/open_ended/fr/split0.jsonl").read_text(
        encoding="utf-8"
    )
