"""All words of a file or folder of word times at once; the first fault is an error."""

from pathlib import Path

from data_prep.alignment.text_grid import read_text_grid
from data_prep.alignment.word_time import AlignmentError, WordTime
from data_prep.alignment.word_time_files import find_files, gather_times, is_text_grid, read_entries


def read_word_times(path: str | Path, tier: str | None = None) -> dict[str, list[WordTime]]:
    table, found = {}, []
    for file in find_files(path):
        if is_text_grid(file):
            table[file.stem] = read_text_grid(file, tier)
            continue
        for entry in read_entries(file):
            if entry.fault:
                raise AlignmentError(entry.fault)
            found += entry.times
    return table | gather_times(found)
