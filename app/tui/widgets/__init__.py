"""The panes: each draws lines of its own into a scrolling view; none asks the engine."""
