"""What is seen of the nodes of a job before anything is launched on them."""
