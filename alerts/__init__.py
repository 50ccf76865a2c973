"""Alerts after the engine: events, notification, the desk."""
