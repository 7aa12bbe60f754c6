"""Fairlead leads imaging data from the scanner and the microscope to a cohort that anyone can find and a machine can fetch."""

__version__ = "0.1.0"
