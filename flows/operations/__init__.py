"""What ``synthgap up`` runs: servers, worker, login, deployments and automations, and who keeps them alive."""
