"""``python -m ecg4u.cli``."""

from ecg4u.cli import main

main()
