"""Health endpoints for machines: liveness, readiness and Prometheus metrics."""
