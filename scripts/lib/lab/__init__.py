"""What the demo, the end-to-end tests and the benchmarks share: a containerd of their own, small
images made on the spot, and a picture of the host to compare before and after."""
