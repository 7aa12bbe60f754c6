"""Glue to Apache Airflow: provider information, connection, trigger, operators and the Cohorts plugin.

The only room that imports Airflow. Nothing worth testing lives here: an operator reads its inputs, calls one function of a
room and returns one short value. Import operators from :mod:`fairlead.airflow.operators` and
:mod:`fairlead.airflow.export`, the trigger from :mod:`fairlead.airflow.triggers`.
"""
