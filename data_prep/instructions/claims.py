"""What a row may say of a class.

"calibrated"  of the recording itself (noise, distance, distortion, quality) what is true of any recording: absolute
              edges; advice names only the classes that support it; mood and suitability of a voice are not guessed
"paper"       SIFT-50M's absolute wording of what are places within a corpus, mood included
"""

from data_prep.metadata.absolute import ABSOLUTE_KEYS
from data_prep.metadata.bins import ABSOLUTE, CORPUS, EDGES, find_relative, read_bins
from sift_jax.sift.labels import ACOUSTIC_LABELS

CALIBRATED, PAPER = "calibrated", "paper"
CLAIMS = (CALIBRATED, PAPER)


def choose_edges(claims: str, edges: str | None) -> str:
    """The edges that go with the claims where none are given; others are refused where they support
    less."""
    if edges is None:
        return ABSOLUTE if claims == CALIBRATED else CORPUS
    if claims == PAPER:
        return edges
    relative = (
        find_relative(read_bins(edges, ACOUSTIC_LABELS)) if edges not in EDGES else ABSOLUTE_KEYS
    )
    if edges != ABSOLUTE and relative:
        raise ValueError(
            f"--edges={edges} has places within a corpus for {relative[0]}, which say nothing of a "
            "recording by itself; leave it out, or give --claims=paper with it"
        )
    return edges


def describe_claims(claims: str) -> str:
    """For who reads the rows."""
    if claims == PAPER:
        return (
            "Every class is a place within this corpus, told in the absolute words of SIFT-50M: "
            '"very noisy" is '
            "the noisiest part of these recordings. Moods and suitability are guessed from such "
            "places."
        )
    return (
        "How high, lively, fast or loud somebody speaks is a place within this corpus. Noise, "
        "distance, distortion and quality are told by edges that hold for any recording "
        "(bins.json), and not where that is in doubt."
    )
