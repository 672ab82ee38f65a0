"""What this library costs beside what it can't cost less than: `python -m benchmarks --help`."""
