"""Chunks are run in this process."""

import pytest


@pytest.fixture(autouse=True)
def engine(monkeypatch, request):
    """Chunks one after another in this process: the engine has tests of its own, and one here."""
    if "beam" in request.node.name:
        return

    def run_here(chunks, kind, work, engine):
        for chunk in chunks:
            if not chunk.path(kind).exists():
                work(chunk)

    for module in (
        "synthesis.speak_passages",
        "synthesis.write_questions",
        "synthesis.transcribe",
        "synthesis.grade_triples",
        "tasks.decode",
    ):
        monkeypatch.setattr(f"data_prep.{module}.run_chunks", run_here)
