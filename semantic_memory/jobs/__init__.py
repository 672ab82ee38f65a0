"""Long work on a whole memory, while it goes on learning and answering: re-embed, go back, finish, rebuild, relearn."""

from semantic_memory.jobs.keeping import Status, WentBack, finish, rollback, status
from semantic_memory.jobs.measuring import Measured, measure
from semantic_memory.jobs.reembedding import OnEvent, plan, reembed
from semantic_memory.jobs.reindexing import Rebuilt, reindex
from semantic_memory.jobs.relearning import Difference, Found, relearn
from semantic_memory.jobs.values import Disk, Embedded, Event, Failed, Plan, Question, Report, Settled, Verified

__all__ = [
    "Difference",
    "Disk",
    "Embedded",
    "Event",
    "Failed",
    "Found",
    "Measured",
    "OnEvent",
    "Plan",
    "Question",
    "Rebuilt",
    "Report",
    "Settled",
    "Status",
    "Verified",
    "WentBack",
    "finish",
    "measure",
    "plan",
    "reembed",
    "reindex",
    "relearn",
    "rollback",
    "status",
]
