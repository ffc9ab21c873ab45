"""What is counted: plain numbers in each gateway, merged over all of them, shown in Prometheus' format."""
