"""The demo: one user, two sessions, and an agent that knows in the second what was said in the first."""

from semantic_memory.frontends.demo.models import live_model
from semantic_memory.frontends.demo.page import story_page
from semantic_memory.frontends.demo.story import Story, play

__all__ = ["Story", "live_model", "play", "story_page"]
