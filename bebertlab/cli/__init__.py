"""The command line: one command group a file; what is heavy is imported inside the commands."""
