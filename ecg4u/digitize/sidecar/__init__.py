"""What was found, in a form that a person can correct."""
