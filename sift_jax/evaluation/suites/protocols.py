"""By which rules a suite is asked and scored: its own, or those of the SIFT paper's tables.

    dynamic_superb   official  exact match            paper  a judge says right or wrong
    air_bench        official  two answers compared   paper  one answer against the reference, 0 to 10
    slurp            official  all slots at once      paper  one slot a question
    msp_podcast      official  eight emotions         paper  all segments

A suite that is not named here is asked in one way, whichever of the two a config names.
"""

OFFICIAL, PAPER = "official", "paper"

# suite → protocol → what it is, for the report
PROTOCOLS: dict[str, dict[str, str]] = {
    "dynamic_superb": {
        OFFICIAL: "exact match after lower-casing and stripping",
        PAPER: "a judge says right or wrong",
    },
    "air_bench": {
        OFFICIAL: (
            "a judge gives the reference and the answer a whole number from 1 to 10 each, in both "
            "orders"
        ),
        PAPER: (
            "a judge gives the answer 0 to 10 against the reference, without the description of "
            "the audio"
        ),
    },
    "slurp": {
        OFFICIAL: (
            "all slots of a recording in one question, F1 over names with values; intents by the "
            "option named"
        ),
        PAPER: (
            "a question for each slot that a recording has, judged right or wrong; intents are "
            "judged so, too"
        ),
    },
    "msp_podcast": {
        OFFICIAL: (
            "eight emotions to choose from; segments without an agreed one (X) or with another "
            "(O) are not asked"
        ),
        PAPER: (
            "all segments, without choices, judged right or wrong; of X and O the reference says "
            "that"
        ),
    },
}


def find_protocol(suite: str, name: str) -> str:
    """The protocol that a suite is asked by; empty where there is one way alone."""
    return name if suite.partition(":")[0] in PROTOCOLS else ""


def describe_protocol(suite: str, name: str) -> str:
    """A sentence on it; empty where there is nothing to say."""
    said = PROTOCOLS.get(suite.partition(":")[0], {}).get(name, "")
    return f"Protocol: {name} ({said})." if said else ""
