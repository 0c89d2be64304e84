"""Nine classes from an `ECGRecord`; torch is loaded when a record is first classified."""

from ecg4u.model.classifier import Classification, Classifier, ClassResult, classify
from ecg4u.model.prepare import ModelInput, prepare

__all__ = ["ClassResult", "Classification", "Classifier", "ModelInput", "classify", "prepare"]
