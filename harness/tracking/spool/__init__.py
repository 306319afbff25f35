"""The event log of a sweep on disk, and what is computed from it without MLflow.

- `events`         types of events, and their JSON form
- `event_log`      append-only file of events
- `run_updates`    events grouped into one update per MLflow run
- `spooled_sweep`  a sweep read from its event log as data frames
- `cursor`         how far a tracking server has received the events
- `writer_log`     text log of the process that sends them
"""
