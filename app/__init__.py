"""The people's side of Strata: the `strata` command (`app.cli`) and the explorer (`app.tui`)."""
