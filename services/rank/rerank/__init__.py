"""What orders the head of a list after the channels have been fused; the aesthetic score is the first."""
