"""Fixtures for all tests: each test that needs an engine gets a root of its own, gone afterwards."""
