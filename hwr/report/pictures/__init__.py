"""Pictures as PNG bytes, each a function of plain figures; what they share is in `drawing` (matplotlib) and `pen`."""
