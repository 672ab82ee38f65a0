"""Candidate facts against what is known: new, the same, a replacement, a conflict, or not believed."""

from semantic_memory.reconcile.decisions import USERS_OWN, Action, Decision, reconcile
from semantic_memory.reconcile.judgement import STRICT, Thresholds, says_otherwise, walled_off

__all__ = ["STRICT", "USERS_OWN", "Action", "Decision", "Thresholds", "reconcile", "says_otherwise", "walled_off"]
