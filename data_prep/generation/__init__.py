"""How well a speaking model follows instructions: its recordings are measured as the corpus was.

build ─ items ─► items.jsonl ─ a model speaks ─► spoken.jsonl, *.wav ─ score ─► results.json  report.html
                      └─ resynthesize ─► the ceiling: the true audio through the codec ───┘
"""
