"""Read by every Python that a test starts: the guard against leaving the machine."""

from tests.network import watch

watch()
