"""Killed commands, full disks and hostile input: what must not get in, out or lost."""
