"""The measured tables of the README, each from one command."""
