"""`strata demo`: an image made offline out of the host's own files, and a container that visibly lives on it."""
