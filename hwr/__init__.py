"""Batch recognition of handwriting: the library, free of Ray and of the command line."""

__version__ = "0.1.0"
