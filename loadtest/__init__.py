"""The crowd of a drop: an open-loop load harness on Locust that checks every answer and recounts the round."""
