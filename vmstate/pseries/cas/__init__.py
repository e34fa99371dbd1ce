"""Client-architecture-support: a guest's call, what guest kernels ask for, what the machine makes of it."""
