"""Images as archives, in and out: `load.py` reads docker-archives and OCI layouts, `assemble.py` turns a config and
layers into an image of the store (for load, commit, build and the demo)."""
