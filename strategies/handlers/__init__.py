"""Strategy handlers: pure functions from a wake and a state to a plan. They know the kernel and each other."""
