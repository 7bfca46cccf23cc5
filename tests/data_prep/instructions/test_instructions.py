"""Instructions from fake metadata: layout, balance, truth, and that the judge tells them apart."""

import collections
import json
import re
import string

import pytest
from fake_metadata import write_metadata

from data_prep.instructions.memory_shares import read_metadata
from data_prep.instructions.plain import NAMES, POLES
from data_prep.instructions.templates import load_templates
from data_prep.instructions.write import write_instructions
from sift_jax.evaluation.scores.offline_judge import (
    classify,
    judge_closed,
    make_majority,
    question_kind,
)
from sift_jax.sift.labels import (
    LABELS,
    LANGUAGES,
    find_labels,
    find_quotations,
    normalise,
    space_signs,
)
from sift_jax.sift.rows import (
    CATEGORIES,
    CLOSED_CATEGORIES,
    SPLITS,
    audio_ids,
    list_files,
    read_rows,
)

# The most that an answer without listening may get right, over all languages.
MAJORITY_CEILING = {
    "closed_ended/acoustic_level": 0.3,
    "closed_ended/content_level": 0.5,
    "closed_ended/word_align": 0.45,
    "closed_ended/comparison": 0.5,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    metadata = write_metadata(folder / "metadata.jsonl")
    counts = write_instructions(
        metadata, folder / "sift", seed=3, rows_per_language=60, rows_per_utterance=10
    )
    return folder, counts


def read_all(folder, split):
    return [
        (category, language, row)
        for category in CATEGORIES
        for language in LANGUAGES
        for path in list_files(folder / "sift", split, category, language)
        for row in read_rows(path)
    ]


def join_text(message):
    return "".join(part.get("text", "") for part in message["content"])


def read_closed(folder, split):
    return [
        (category, language, join_text(row["messages"][-1]))
        for category, language, row in read_all(folder, split)
        if category in CLOSED_CATEGORIES
    ]


def test_counts_are_those_of_the_files(corpus):
    folder, counts = corpus
    for split, wanted in (("EvalSIFT", 60), ("dev", 30)):
        released = {category: counts[split][category] for category in CATEGORIES}
        assert released == {category: dict.fromkeys(LANGUAGES, wanted) for category in CATEGORIES}
    for split in SPLITS:
        found = collections.Counter(
            (category, language) for category, language, _ in read_all(folder, split)
        )
        assert found == {
            (category, language): n
            for category, by_language in counts[split].items()
            for language, n in by_language.items()
            if category in CATEGORIES
        }


def test_rows_are_about_their_own_split_and_within_the_cap(corpus):
    folder, _ = corpus
    splits = {line["id"]: line for line in read_metadata(folder / "metadata.jsonl")}
    for split in SPLITS:
        uses = collections.Counter()
        for category, language, row in read_all(folder, split):
            names = audio_ids(row)
            assert {splits[name]["split"] for name in names} == {split}
            is_comparison = category.endswith("comparison")
            assert row["id"] == (f"comparison_{'__'.join(names)}" if is_comparison else names[0])
            assert len(set(names)) == len(names) == (2 if is_comparison else 1)
            assert row["data_source"] == f"embedded_{splits[names[0]]['language']}"
            assert row["task"] == category.split("/")[0]
            uses[category, language, row["id"]] += 1
        assert max(uses.values()) <= 10


def test_order_of_parts_varies_but_not_within_an_utterance(corpus):
    folder, _ = corpus
    orders = collections.defaultdict(set)
    for category, language, row in read_all(folder, "train"):
        if category != "controllable_generation":
            orders[category, language, row["id"]].add("text" in row["messages"][0]["content"][0])
    assert all(len(order) == 1 for order in orders.values())
    assert 0.7 < sum(False in order for order in orders.values()) / len(orders) < 0.9


def test_generation_ends_with_the_transcript_and_is_answered_in_audio(corpus):
    folder, _ = corpus
    texts = {line["id"]: line["transcript"] for line in read_metadata(folder / "metadata.jsonl")}
    for category, language, row in read_all(folder, "EvalSIFT"):
        if category == "controllable_generation":
            user, assistant = row["messages"]
            assert join_text(user).endswith(f": {space_signs(texts[row['id']], language)}")
            assert assistant["content"] == [{"audio_path": f"/path/to/{row['id']}.wav"}]


def test_answers_are_true(corpus):
    folder, _ = corpus
    facts = {line["id"]: line for line in read_metadata(folder / "metadata.jsonl")}
    checked = 0
    for category, language, row in read_all(folder, "train"):
        if category == "closed_ended/comparison" or category == "controllable_generation":
            continue
        fact = facts[row["id"]]
        known = {
            **fact["labels"],
            "gender": fact["gender"],
            "age_category": fact["age_category"],
            "accent": fact["accent"],
            "topic": fact["topic"],
            "sentence_type": "question" if fact["is_question"] else "statement",
        }
        for key, label in find_labels(join_text(row["messages"][-1]), language):
            if key in known:
                assert known[key] == label
                checked += 1
    assert checked > 3000


def test_answers_are_short_and_hold_labels(corpus):
    folder, _ = corpus
    lengths = collections.defaultdict(list)
    for split in SPLITS:
        for category, language, row in read_all(folder, split):
            text = join_text(row["messages"][-1])
            if category == "open_ended":
                assert find_labels(text, language), text
            lengths[category].append(len(text.split()))
            for message in row["messages"]:
                assert "{" not in join_text(message)
    assert max(lengths["open_ended"]) <= 30
    for category in CLOSED_CATEGORIES:
        assert sorted(lengths[category])[int(0.95 * len(lengths[category]))] <= 15


def test_judge_accepts_the_reference_and_refuses_the_other_classes(corpus):
    folder, _ = corpus
    classes = collections.defaultdict(dict)
    for category, language, text in read_closed(folder, "EvalSIFT"):
        assert judge_closed(text, text, language)
        assert question_kind(text, language) != "text", text
        classes[category, language, question_kind(text, language)].setdefault(
            classify(text, language), text
        )
    for (_, language, _), texts in classes.items():
        for reference in texts.values():
            for other in texts.values():
                assert judge_closed(reference, other, language) == (reference is other), (
                    reference,
                    other,
                )


def test_majority_answers_stay_far_from_the_goal(corpus):
    folder, _ = corpus
    majority = make_majority(read_closed(folder, "train"))
    right = collections.defaultdict(list)
    for category, language, text in read_closed(folder, "EvalSIFT"):
        kind = question_kind(text, language)
        answer = majority.get((category, language, kind), "")
        right[category].append(judge_closed(text, answer, language))
    for category, ceiling in MAJORITY_CEILING.items():
        assert sum(right[category]) / len(right[category]) <= ceiling, category


def test_classes_are_even_in_evaluation(corpus):
    folder, _ = corpus
    for language in LANGUAGES:
        kinds = collections.defaultdict(collections.Counter)
        for category, found, text in read_closed(folder, "EvalSIFT"):
            if found == language:
                kinds[category, question_kind(text, language)][classify(text, language)] += 1
        for place in (
            ("closed_ended/content_level", "gender"),
            ("closed_ended/acoustic_level", "yes_no"),
            ("closed_ended/content_level", "language"),
        ):
            counts = kinds[place].values()
            assert len(counts) >= 2 and max(counts) - min(counts) <= 1, (place, kinds[place])


def test_the_seed_decides(corpus, tmp_path):
    folder, _ = corpus

    def write(name, seed):
        write_instructions(
            folder / "metadata.jsonl", tmp_path / name, seed=seed, rows_per_utterance=1
        )
        return {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*.jsonl")
        }

    first = write("a", 1)
    assert write("b", 1) == first
    assert write("c", 2) != first


def test_templates_have_the_same_slots_in_all_languages():
    def list_slots(node, path=""):
        if isinstance(node, str):
            fields = {field for _, field, _, _ in string.Formatter().parse(node) if field}
            yield path, frozenset(field[0].lower() + field[1:] for field in fields)
        elif isinstance(node, dict):
            for key, value in node.items():
                yield from list_slots(value, f"{path}/{key}")
        else:
            # Templates of one list are alternatives; what counts is how many there are and what
            # they may use.
            slots = [slots for item in node for _, slots in list_slots(item)]
            yield f"{path}[{len(node)}]", frozenset().union(*slots)

    wanted = {
        path: slots for path, slots in list_slots(load_templates("en")) if path != "/language"
    }
    for language in LANGUAGES:
        assert {p: s for p, s in list_slots(load_templates(language)) if p != "/language"} == wanted


def test_templates_name_no_labels_of_their_own():
    """An answer's fixed words must never be mistaken for a label."""
    for language in LANGUAGES:
        templates = load_templates(language)
        answers = [
            text
            for form in templates.values()
            if isinstance(form, dict)
            for text in form.get("answers", [])
        ]
        answers += [text for texts in templates["clauses"].values() for text in texts]
        answers += [text for form in templates["open_ended"].values() for text in form["answers"]]
        answers += [text for key in ("same", "different") for text in templates["same_gender"][key]]
        answers += [*NAMES.values(), *(pole for poles in POLES.values() for pole in poles.values())]
        for form in templates["open_ended"].values():
            texts = form.get("inferences", [])
            answers += (
                [text for group in texts.values() for text in group]
                if isinstance(texts, dict)
                else texts
            )
        for answer in answers:
            assert find_labels(answer, language) == [], (language, answer)


def test_every_label_key_is_asked_about(corpus):
    folder, _ = corpus
    for language in LANGUAGES:
        found = {
            key
            for category, code, text in read_closed(folder, "train")
            if code == language
            for key, _ in find_labels(text, language)
        }
        accents = {
            line["accent"]
            for line in read_metadata(folder / "metadata.jsonl")
            if line["language"] == language
        }
        assert found == set(LABELS) - ({"accent"} if len(accents) == 1 else set())


def write_altered(folder, alter):
    """The fake corpus with each line altered, and its content-level answers by language."""
    metadata = write_metadata(folder / "metadata.jsonl")
    lines = [json.loads(line) for line in metadata.read_text(encoding="utf-8").splitlines()]
    for number, line in enumerate(lines):
        alter(number, line)
    metadata.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    write_instructions(
        metadata, folder / "sift", seed=3, rows_per_language=60, rows_per_utterance=10
    )
    return [
        (language, text)
        for split in SPLITS
        for category, language, text in read_closed(folder, split)
        if category == "closed_ended/content_level"
    ]


def test_a_form_with_one_possible_answer_is_not_asked(tmp_path):
    def alter(number, line):
        line.update(gender="female", sentence_length="long", is_question=False)

    answers = write_altered(tmp_path, alter)
    asked = {key for language, text in answers for key, _ in find_labels(text, language)}
    assert (
        not asked & {"gender", "sentence_length", "sentence_type"}
        and {"age_category", "topic"} <= asked
    )


def test_any_accent_is_asked_for_whole(tmp_path):
    names = ("Irish", "Andino-Pacífico: Colombia, Perú, Ecuador", "Wien")

    def alter(number, line):
        line["accent"] = names[number % 3]

    answers = write_altered(tmp_path, alter)
    for language in LANGUAGES:
        texts = [text for code, text in answers if code == language]
        assert any(("accent", "Irish") in find_labels(text, language) for text in texts)
        for name in names[1:]:
            quoted = [text for text in texts if name in find_quotations(text)]
            assert quoted and all(judge_closed(text, text, language) for text in quoted)
            assert not judge_closed(quoted[0], quoted[0].replace(name, "Bern"), language)
    requests = [
        join_text(row["messages"][0])
        for category, _, row in read_all(tmp_path, "train")
        if category == "controllable_generation"
    ]
    assert any(names[1] in find_quotations(text) for text in requests)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_words_tell_is_not_asked_of_the_intonation(language):
    """Whether a sentence is a question is read from its transcript."""
    heard = re.compile("intonation|betonung|melod|intonazione|entonación|tonfall", re.IGNORECASE)
    assert not any(
        heard.search(text) for text in load_templates(language)["direct"]["sentence_type"]
    )


def test_absent_words_are_absent(corpus):
    folder, _ = corpus
    texts = {
        line["id"]: re.findall(r"[^\W\d_]+", normalise(line["transcript"]))
        for line in read_metadata(folder / "metadata.jsonl")
    }
    seen = collections.Counter()
    for category, language, row in read_all(folder, "train"):
        answer = join_text(row["messages"][-1])
        if category == "closed_ended/content_level" and question_kind(answer, language) == "yes_no":
            word = find_quotations(answer)[0]
            verdict = classify(answer, language)[1]
            assert (normalise(word) in texts[row["id"]]) == (verdict == "yes"), (word, row["id"])
            seen[verdict] += 1
    assert seen["yes"] > 20 and abs(seen["yes"] - seen["no"]) <= 0.2 * seen["yes"]


def test_one_language_is_not_asked_which_it_is(tmp_path):
    metadata = write_metadata(
        tmp_path / "m.jsonl", languages=("it",), sizes={"train": 3, "dev": 2, "EvalSIFT": 2}
    )
    write_instructions(metadata, tmp_path / "sift", rows_per_language=8)
    answers = [text for _, _, text in read_closed(tmp_path, "train")]
    assert answers and not any(
        key == "language" for text in answers for key, _ in find_labels(text, "it")
    )


def test_bad_metadata_names_the_line(tmp_path):
    path = tmp_path / "metadata.jsonl"
    path.write_text(json.dumps({"id": "a"}) + "\n")
    with pytest.raises(
        ValueError, match=r"metadata.jsonl:1: no language, split, .*; measure the corpus again"
    ):
        list(read_metadata(path))
    path.write_text("{\n")
    with pytest.raises(ValueError, match=r"metadata.jsonl:1: not JSON"):
        list(read_metadata(path))
