"""The composition root: settings in, a running feed out. It wires and decides nothing else."""
