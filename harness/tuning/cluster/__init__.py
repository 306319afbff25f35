"""The Ray cluster: join or start one, its resources, checks of its nodes, jobs."""
