"""What a strategy will take, in time, memory and disk, before it is spent; and whether this machine is ready."""
