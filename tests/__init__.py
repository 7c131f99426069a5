"""Everything Strata promises, as tests that read like the sentence they prove."""
