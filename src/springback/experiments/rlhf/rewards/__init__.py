"""Where rewards come from: a function, a program, an endpoint, a reward model, a scorer. One file each."""
