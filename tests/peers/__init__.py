"""The same act by Strata and by another engine, compared."""
