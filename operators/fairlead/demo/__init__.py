"""The whole way on one machine: node, Airflow, cohort, approval, catalog, on real sample data.

The only room besides the command line and ``airflow`` that sees all others; it talks to the running servers as their
users do (C-STORE, the watched folder, Airflow's REST API, the catalog's HTTP).
"""

from fairlead.demo.run import DemoOptions, DemoResult, StepFailed, run_demo

__all__ = ["DemoOptions", "DemoResult", "StepFailed", "run_demo"]
