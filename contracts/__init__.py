"""The verifiable contracts of the project and their compiled artefacts."""
