"""What is printed: lead names, speed and gain."""
