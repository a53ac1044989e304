"""Eyes on the kernel: ends of processes, OOM kills, cgroup figures."""
