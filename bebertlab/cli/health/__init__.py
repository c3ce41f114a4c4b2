"""What `bebertlab doctor` looks at."""
