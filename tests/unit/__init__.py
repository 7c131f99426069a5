"""Without root: pure code, and the engine against files."""
