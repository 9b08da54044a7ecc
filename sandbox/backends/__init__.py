"""What a cell is made of here: Docker containers, bubblewrap sandboxes, or Landlock and seccomp alone."""
