"""How commands come in: taken, judged once, run in their lane, answered and kept."""
