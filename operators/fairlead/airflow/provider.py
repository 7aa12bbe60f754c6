"""What Airflow's provider manager asks for (entry point ``apache_airflow_provider``)."""

from __future__ import annotations

from typing import Any

from fairlead import __version__


def get_provider_info() -> dict[str, Any]:
    """Return the provider description: connection type ``fairlead``, hook, operators, trigger and plugin."""
    return {
        "package-name": "fairlead",
        "name": "Fairlead",
        "description": "Imaging data from the scanner and the microscope to FAIR cohorts.",
        "versions": [__version__],
        "hooks": [{"integration-name": "Fairlead", "python-modules": ["fairlead.airflow.hook"]}],
        "operators": [
            {
                "integration-name": "Fairlead",
                "python-modules": [
                    "fairlead.airflow.operators",
                    "fairlead.airflow.export",
                    "fairlead.airflow.deidentify",
                    "fairlead.airflow.convert",
                ],
            }
        ],
        "triggers": [{"integration-name": "Fairlead", "python-modules": ["fairlead.airflow.triggers"]}],
        "plugins": [{"name": "fairlead", "plugin-class": "fairlead.airflow.plugin.FairleadPlugin"}],
        "connection-types": [
            {
                "connection-type": "fairlead",
                "hook-class-name": "fairlead.airflow.hook.FairleadHook",
                "hook-name": "Fairlead",
                "conn-fields": {
                    "home": {
                        "label": "Home folder",
                        "schema": {
                            "type": ["string", "null"],
                            "description": "FAIRLEAD_HOME of this installation; empty: the environment's.",
                        },
                    },
                    "config": {
                        "label": "Settings file",
                        "schema": {"type": ["string", "null"], "description": "fairlead.yaml to read; empty: $FAIRLEAD_CONFIG."},
                    },
                },
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "schema", "login", "password", "port", "extra"],
                    "relabeling": {},
                    "placeholders": {},
                },
            }
        ],
    }
