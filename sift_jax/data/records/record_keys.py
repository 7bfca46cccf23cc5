"""Keys by which TFDS writes records in their order without holding all of them.

TFDS keeps what it is given in 1000 files by the key's share of 2¹²⁸, then reads and sorts them one
after the other:

    keys 0, 1, 2, …   ─►  all in the first file: a split is sorted in memory, whole, however large it is
    KeyMaker          ─►  the first 256 MB of records | the next 259 MB | the next 261 MB | …

The records and their order are the same.
"""

from __future__ import annotations

# those of tensorflow_datasets/core/shuffle.py
_FILES, _KEYS = 1000, 2**128
# Of the first file; the n-th has 1 + n/100 times as much, so that a thousand hold a terabyte and a
# half.
FILE_BYTES = 256 << 20
_GROWTH = 0.01


class KeyMaker:
    """Keys that grow from record to record, as much as the records take."""

    def __init__(self) -> None:
        self._file = self._place = self._bytes = 0

    def make(self, size: int) -> int:
        """The key of the next record, of about so many bytes."""
        if self._bytes >= FILE_BYTES * (1 + _GROWTH * self._file) and self._file < _FILES - 1:
            self._file, self._bytes = self._file + 1, 0
        self._bytes += size
        self._place += 1
        # from the middle of the file's share on: TFDS finds the file in floating point
        return (2 * self._file + 1) * _KEYS // (2 * _FILES) + self._place
