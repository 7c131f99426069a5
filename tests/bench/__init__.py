"""Benchmarks against other engines: `python -m tests.bench [rows…]`. Never collected as tests, never timed assertions.

Each row measures ours and the peer's in turn on the same machine, the same files and one filesystem of their own, and
prints the medians, their ratio and the bar that the project set itself.
"""
