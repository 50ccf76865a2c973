"""The demo: a whole Guanlan on one machine, fed with a made-up national sector in which things go wrong."""

from __future__ import annotations

from guanlan.demo.play import Options, play

__all__ = ["Options", "play"]
