"""What people can see of the whole network from any one agent."""
