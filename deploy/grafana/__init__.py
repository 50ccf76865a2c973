"""Grafana dashboards, made as code: `python -m deploy.grafana.build` writes the JSON that is provisioned."""
