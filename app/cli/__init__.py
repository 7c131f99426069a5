"""The `strata` command: one file a verb, each parsing its words and printing, nothing else.

`main` finds the verb in `catalog` and imports only that verb's file; `flags` reads its words as docker does.
"""
