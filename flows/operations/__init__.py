"""The services of ``synthgap up``: Prefect, MLflow and a worker, their login, Prefect's deployments and automations.

Read the modules in this order:

- ``up``: the commands ``up``, ``down`` and ``login``
- ``supervisor``: starts the services, restarts those that end, and ends all of them
- ``services``: command and environment of Prefect's server, MLflow's server and the worker
- ``process``: a server process, from start to end; ``logs``: its log
- ``ephemeral_server``: the server that ``synthgap run`` starts if there is no other
- ``addresses``, ``environment``: hosts, ports and environment variables of all of these
- ``login`` (with ``login.html``), ``mlflow_login``: the password and its checks
- ``state``, ``status``: the file that describes the running services, and ``synthgap status``
- ``deployments``, ``registration``: Prefect's deployments of study and watch files, as data and on the server
- ``prefect_admin``, ``automations``: the work pool, runs that lost their process, and automatic actions of the server
"""
