"""The front door: commands, settings, the demo."""
