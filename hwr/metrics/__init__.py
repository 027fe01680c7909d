"""Figures of answers whose truth is known, one module a question; pure functions of arrays and texts."""
