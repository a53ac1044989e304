"""Eyes on the kernel: ends of processes, OOM kills, stalls, cgroup figures."""
