"""Items and predictions by hand."""

from sift_jax.evaluation.scores.schema import Item, Prediction


def make_item(number, references=("yes",), **changes):
    references = (references,) if isinstance(references, str) else tuple(references)
    audio = changes.pop("audio", f"{number}.wav")
    parts = [
        *([{"audio_path": audio}] if audio else []),
        {"text": changes.pop("question", "What?")},
    ]
    fields = {
        "id": f"i{number}",
        "suite": "s",
        "subset": "",
        "language": "en",
        "metrics": ("exact_match",),
    }
    message = {"role": "user", "content": parts}
    return Item(**{**fields, "messages": (message,), "references": references, **changes})


def make_predictions(pairs, **changes):
    """Of (reference or references, answer) pairs."""
    return [
        Prediction(item=make_item(n, reference, **changes), answer=answer)
        for n, (reference, answer) in enumerate(pairs)
    ]
