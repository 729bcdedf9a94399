"""Fuzzing: `python -m fuzz TARGET --runs N`; docs/fuzzing.md says what each target asserts."""
