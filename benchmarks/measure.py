"""The measures of digitization; they live in `ecg4u.compare`, which users have too."""

from ecg4u.compare import (
    LeadScore,
    kaggle_db,
    kaggle_ratio,
    moved,
    resample,
    score_lead,
)

__all__ = ["LeadScore", "kaggle_db", "kaggle_ratio", "moved", "resample", "score_lead"]
