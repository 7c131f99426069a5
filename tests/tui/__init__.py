"""The explorer, driven with Pilot."""
