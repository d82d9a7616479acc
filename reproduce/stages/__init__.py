"""The stages of `python -m reproduce`; each makes tables from what the stage before has saved."""
