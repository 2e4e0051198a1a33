"""Settings of the workers, which dagster-celery reads where this folder is on PYTHONPATH."""

# Redis gives a task that nobody acknowledged within this time to a second worker: an industry's night twice at once,
# which leases keep apart, and which Dagster then shows as failed. Longer than `max_runtime_seconds`.
broker_transport_options = {"visibility_timeout": 86400}
# A task is acknowledged when it begins. Late, a killed purge would begin again by itself.
task_acks_late = False
worker_prefetch_multiplier = 1
worker_disable_prefetch = True  # of Redis: a run waits in the queue for whoever is free, not in a busy worker
# A worker process loads the code once, and is replaced after so many runs.
worker_max_tasks_per_child = 50
worker_hijack_root_logger = False
