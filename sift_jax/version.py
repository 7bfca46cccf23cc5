"""The version of the package; setup.py and CITATION.cff say the same."""

__version__ = "0.1.0"
