"""Client-architecture-support (CAS): a guest's call, guest kernels' requests, and the machine's answer."""
