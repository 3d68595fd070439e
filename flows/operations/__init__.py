"""What ``synthgap up`` runs: Prefect, MLflow and a worker, their login, and the deployments and automations on Prefect.

To read in this order:

- ``up``: the commands ``up``, ``down`` and ``login``
- ``supervisor``: starts the services, restarts those that end, and ends all of them
- ``services``: what Prefect's server, MLflow's server and the worker are started with
- ``process``: a server process, from start to end; ``logs``: its log
- ``ephemeral_server``: the server that ``synthgap run`` starts when there is no other
- ``addresses``, ``environment``: hosts, ports and environment variables of all of these
- ``login`` (with ``login.html``), ``mlflow_login``: the password, and who is asked for it
- ``state``, ``status``: the file that says what runs, and ``synthgap status``
- ``deployments``, ``registration``: what Prefect shows of study and watch files, as data and on the server
- ``prefect_admin``, ``automations``: the work pool, runs that lost their process, and what the server starts by itself
"""
