"""MLflow, which nothing else imports."""
