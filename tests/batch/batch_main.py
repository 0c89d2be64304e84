"""Runs a batch of `CopyTask` in a process of its own: ``batch_main.py IN OUT PAUSE_S``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from batch_jobs import CopyTask

from ecg4u.batch import PoolExecutor, RunOptions, run_batch
from ecg4u.batch.executors import WorkerLimits


def main() -> None:
    source, out, pause_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
    run_batch(
        [source],
        out,
        executor=lambda lock: PoolExecutor(2, WorkerLimits(timeout_s=5.0, lock_path=lock)),
        task=CopyTask(out, pause_s),
        which=RunOptions(resume=True, quiet=True),
    )


if __name__ == "__main__":
    main()
